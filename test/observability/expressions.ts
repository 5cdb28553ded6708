// Every expression of the dashboards and rules as Prometheus takes it: Grafana's variables filled in, selectors found.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { ROOT } from '../support/staged.ts'

export interface Asked {
  readonly file: string
  /** The panel's title, or what else asks. */
  readonly title: string
  /** As it is written. */
  readonly expr: string
  /** Over the time that a dashboard shows, or now. */
  readonly over: 'range' | 'now'
  readonly legend: string
  readonly unit: string
  readonly type: string
}

interface Target {
  readonly expr?: string
  readonly instant?: boolean
  readonly legendFormat?: string
  readonly datasource?: { readonly type?: string }
}

interface Panel {
  readonly title?: string
  readonly type: string
  readonly datasource?: { readonly type?: string }
  readonly targets?: readonly Target[]
  readonly panels?: readonly Panel[]
  readonly fieldConfig?: { readonly defaults?: { readonly unit?: string } }
}

interface Dashboard {
  readonly panels: readonly Panel[]
  readonly templating: {
    readonly list: readonly {
      readonly name: string
      readonly type: string
      readonly query: string | { query: string }
    }[]
  }
  readonly annotations: { readonly list: readonly { readonly name: string; readonly expr?: string }[] }
}

const DASHBOARDS = join(ROOT, 'observability/dashboards')
export const RULES = join(ROOT, 'observability/prometheus/rules')

export const dashboards = readdirSync(DASHBOARDS).filter((name) => name.endsWith('.json'))

export function askedBy(file: string): Asked[] {
  const { panels, templating, annotations } = JSON.parse(readFileSync(join(DASHBOARDS, file), 'utf8')) as Dashboard
  const plain = { file, legend: '', unit: '', type: '' }
  return [
    ...panels.flatMap((panel) => ofPanel(file, panel)),
    ...annotations.list.flatMap(({ name, expr }): Asked[] =>
      expr === undefined ? [] : [{ ...plain, title: `annotation ${name}`, expr, over: 'range' }],
    ),
    ...templating.list.flatMap(({ name, type, query }): Asked[] =>
      type === 'query' ? [{ ...plain, title: `variable ${name}`, expr: ofVariable(query), over: 'now' }] : [],
    ),
  ]
}

function ofPanel(
  file: string,
  { title = '', type, datasource, targets = [], panels = [], fieldConfig }: Panel,
): Asked[] {
  const own = targets.flatMap((target): Asked[] => {
    if ((target.datasource ?? datasource)?.type !== 'prometheus' || target.expr === undefined) return []
    const over = target.instant === true ? 'now' : 'range'
    const { unit = '' } = fieldConfig?.defaults ?? {}
    return [{ file, title, expr: target.expr, over, legend: target.legendFormat ?? '', unit, type }]
  })
  return [...own, ...panels.flatMap((panel) => ofPanel(file, panel))]
}

/** Grafana's own functions around what it asks Prometheus. */
function ofVariable(given: string | { query: string }): string {
  const query = typeof given === 'string' ? given : given.query
  const [, metric, label] = /^label_values\((.+), *(\w+)\)$/.exec(query) ?? []
  if (metric !== undefined) return `group by (${label}) (last_over_time(${metric}[$__range]))`
  const [, expression] = /^query_result\((.+)\)$/s.exec(query) ?? []
  if (expression === undefined) throw new Error(`a variable of another kind: ${query}`)
  return expression
}

/** What `$__interval` stands for. */
export const INTERVAL_SECONDS = 2

/** Prometheus knows none of Grafana's variables; each of the user's is set to All. */
export function filledIn(expression: string): string {
  return expression
    .replaceAll(/\$\{?__rate_interval\}?/g, '10s')
    .replaceAll(/\$\{?__interval\}?/g, `${INTERVAL_SECONDS}s`)
    .replaceAll(/\$\{?__range\}?/g, '10m') // longer than the test: all that there is
    .replaceAll(/\$\{?[a-z]+(?::\w+)?\}?/g, '.*')
}

export interface Rule {
  readonly file: string
  readonly record?: string
  readonly alert?: string
  readonly expr: string
}

export const rules: readonly Rule[] = readdirSync(RULES)
  .filter((name) => name.endsWith('.yml'))
  .flatMap((file) => {
    const { groups } = parse(readFileSync(join(RULES, file), 'utf8')) as { groups: { rules: Omit<Rule, 'file'>[] }[] }
    return groups.flatMap((group) => group.rules.map((rule) => ({ file, ...rule })))
  })

/** The same rules, whose alerts need not last. */
export function impatient(file: string): string {
  return readFileSync(join(RULES, file), 'utf8').replaceAll(/^( *for:) .*$/gm, '$1 1s')
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[a-zA-Z_:][\w:]*|[{}[\]()]|[<>=!]=|=~|!~|[<>]|\s+|./gs

/** The series that an expression names, without their time: `up`, `taskiq_tasks_total{outcome="lost"}`. */
export function selectors(expression: string): Set<string> {
  const found = new Set<string>()
  const tokens: readonly string[] = expression.match(TOKEN) ?? []
  for (let at = 0; at < tokens.length; at++) {
    const name = /^(taskiq[_:]|up$)/.test(tokens[at] ?? '') ? (tokens[at] as string) : ''
    const opens = name === '' ? at : at + 1
    if (tokens[opens] !== '{') {
      if (name !== '') found.add(name)
      continue
    }
    const closes = tokens.indexOf('}', opens)
    found.add(name + tokens.slice(opens, closes + 1).join(''))
    at = closes
  }
  return found
}

/**
 * An alert's expression that gives something also while all is well: comparisons give 0 or 1 instead of leaving series
 * out, and what would be taken away stays. What joins by labels joins as before.
 */
export function lenient(expression: string): string {
  let inBraces = false
  const made = (expression.match(TOKEN) ?? []).map((token) => {
    if (token === '{' || token === '}') inBraces = token === '{'
    if (inBraces) return token
    if (token === 'unless') return 'or'
    return /^(?:[<>]=?|[=!]=)$/.test(token) ? `${token} bool` : token
  })
  return made.join('')
}
