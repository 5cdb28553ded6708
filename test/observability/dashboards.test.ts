// The dashboards as they ship: built from the sources, right for Grafana, complete, and explained.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parser as logql } from '@grafana/lezer-logql'
import { parser as traceql } from '@grafana/lezer-traceql'
import { describe, expect, it } from 'vitest'
import { DASHBOARDS, toJson } from '../../scripts/observability/dashboards.ts'
import { METRIC, type MetricName, WATCH_METRIC } from '../../src/kernel/names.ts'
import { ALERTS } from '../../src/observability/alerts.ts'
import { redrawn } from '../../src/observability/redraw.ts'
import { limits, THRESHOLDS } from '../../src/observability/thresholds.ts'
import { ROOT } from '../support/staged.ts'
import { complaintsOfTypes } from './grafana-types.ts'

interface Target {
  readonly expr: string
  readonly exemplar?: boolean
  readonly legendFormat?: string
}

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly Target[]
  readonly fieldConfig?: { readonly defaults: { readonly thresholds: { readonly steps: { value: number | null }[] } } }
}

interface Dashboard {
  readonly uid: string
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] }
}

const folder = join(ROOT, 'observability/dashboards')
const files = readdirSync(folder)
const textOf = (file: string): string => readFileSync(join(folder, file), 'utf8')
const read = (file: string): Dashboard => JSON.parse(textOf(file)) as Dashboard
const panels = files.flatMap((file) => read(file).panels.map((panel) => ({ file, panel })))
const shown = panels.filter(({ panel }) => panel.type !== 'row')
const titled = shown.map(({ file, panel }) => [file, panel.title, panel] as const)
const asking = titled.filter(([, , { type }]) => type !== 'logs')

it('are what their sources build', () => {
  expect(files.sort()).toEqual(Object.keys(DASHBOARDS).sort())
  // Else: npm run observability
  for (const [file, dashboard] of Object.entries(DASHBOARDS)) expect(textOf(file), file).toBe(toJson(dashboard))
})

it("have the shapes that Grafana's types ask for, and no field that they do not know", () => {
  expect(complaintsOfTypes(files.map((file) => [file, textOf(file)]))).toEqual([])
  const wrong = textOf('overview.json')
    .replace('"drawStyle"', '"drawStile"')
    .replace('"mode": "absolute"', '"mode": "no"')
  expect(complaintsOfTypes([['overview.json', wrong]])).toHaveLength(2)
})

describe.each(files)('%s', (file) => {
  const dashboard = read(file)

  it('numbers its panels, and lays them out without gaps in a row, or one over the other', () => {
    const ids = dashboard.panels.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    const taken = new Map<string, string>()
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.get(`${x} ${y}`), `${title} lies on`).toBe(undefined)
          taken.set(`${x} ${y}`, title)
        }
      }
    }
    const bottom = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h))
    expect(taken.size).toBe(24 * bottom)
  })

  it('has each variable that it uses, and uses each that it has', () => {
    const has = dashboard.templating.list.map(({ name }) => name)
    // Beside Grafana's own, which begin with two underscores.
    const used = [...textOf(file).matchAll(/\$\{?([a-z]+)\b/g)].map(([, name = '']) => name)
    expect([...new Set(used)].sort()).toEqual([...has].sort())
    expect(has).toEqual(expect.arrayContaining(['app', 'worker']))
  })
})

it('have addresses of their own', () => {
  expect(new Set(files.map((file) => read(file).uid)).size).toBe(files.length)
})

const all: readonly MetricName[] = [...Object.values(METRIC), ...Object.values(WATCH_METRIC)]
const SUFFIXES = { counter: [''], gauge: [''], histogram: ['_bucket', '_sum', '_count'] } as const
const existing = new Map(all.flatMap(({ name, type }) => SUFFIXES[type].map((end) => [`taskiq_${name}${end}`, name])))

it('ask only for series that there are', () => {
  const named = asking.flatMap(([file, title, { targets = [] }]) =>
    targets.flatMap(({ expr }) => [...expr.matchAll(/taskiq_\w+/g)].map(([name]) => ({ file, title, name }))),
  )
  expect(named.length).toBeGreaterThan(200)
  expect(named.filter(({ name }) => !existing.has(name))).toEqual([])
})

it('show every metric that there is', () => {
  const text = files.map(textOf).join('\n')
  const missing = all.filter(({ name, type }) => !SUFFIXES[type].some((end) => text.includes(`taskiq_${name}${end}`)))
  expect(missing.map(({ name }) => name)).toEqual([])
})

describe('each panel', () => {
  it.each(titled)('of %s, %s, says what it shows and which alerts judge it', (_, __, { description = '' }) => {
    const [, what = '', names] = /^(.+\.) (?:Judged by ([\w, ]+)\.|No alert judges it\.)$/s.exec(description) ?? []
    expect(what.length).toBeGreaterThan(20)
    for (const name of names?.split(', ') ?? []) expect(Object.keys(ALERTS)).toContain(name)
  })

  it('of a histogram asks for its exemplars', () => {
    const quantiles = asking.filter(([, , { type, targets = [] }]) => {
      return (type === 'timeseries' || type === 'heatmap') && targets.some(({ expr }) => expr.includes('_bucket'))
    })
    expect(quantiles.length).toBeGreaterThan(8)
    const without = quantiles.filter(([, , { targets = [] }]) => targets.some(({ exemplar }) => exemplar !== true))
    expect(without.map(([file, title]) => `${file} ${title}`)).toEqual([])
  })

  it('of depths takes the maximum by queue and state first: every worker reports the same queue', () => {
    const depths = asking.flatMap(([, title, { targets = [] }]) =>
      targets.filter(({ expr }) => expr.includes('taskiq_queue_depth')).map(({ expr }) => ({ title, expr })),
    )
    expect(depths.length).toBeGreaterThan(4)
    for (const { title, expr } of depths) {
      const aggregated =
        expr.match(/max by \(queue, state\) \((?:deriv\()?taskiq_queue_depth|taskiq_queue_depth/g) ?? []
      expect(
        aggregated.filter((each) => each === 'taskiq_queue_depth'),
        title,
      ).toEqual([])
    }
  })

  it('of worker, app, queue or task follows what is chosen', () => {
    const fixed = asking.filter(([, , { targets = [] }]) =>
      targets.some(({ expr }) => !expr.includes('worker=~"$worker"')),
    )
    expect(fixed.map(([file, title]) => `${file} ${title}`)).toEqual([])
  })
})

it('every alert judges a panel', () => {
  const judging = new Set(shown.flatMap(({ panel }) => panel.description?.match(/[A-Z]\w+[a-z][A-Z]\w+/g) ?? []))
  expect(Object.keys(ALERTS).filter((name) => !judging.has(name))).toEqual([])
})

describe('links', () => {
  it('lead to queries that parse', () => {
    const urls = files.flatMap((file) =>
      [...textOf(file).matchAll(/"url": "(\/explore.+)"/g)].map(([, url]) => url ?? ''),
    )
    expect(urls.length).toBeGreaterThan(20)
    const queries = urls.map(queryBehind)
    expect(queries.filter(({ type, text }) => !parses(type === 'tempo' ? traceql : logql, text))).toEqual([])
  })

  it('encode the name that was clicked, whatever it has', () => {
    const links = files.map(textOf).join('\n')
    expect(links.match(/\$\{__(?:data|field)\b[^}]*:percentencode\}/g)?.length).toBeGreaterThan(20)
    expect(links.match(/\$\{__(?:data|field)\b(?:(?!:percentencode)[^}])*\}/g)).toBe(null)
  })

  it('say by labels that the series have', () => {
    const unknown = asking.flatMap(([file, title, panel]) => {
      const used = [...JSON.stringify(panel).matchAll(/__field\.labels\.(\w+)/g)].map(([, label]) => label)
      const named = (panel.targets ?? []).map(({ legendFormat = '' }) => legendFormat)
      return used.filter((label) => !named.every((each) => each.includes(`{{${label}}}`))).map(() => `${file} ${title}`)
    })
    expect(unknown).toEqual([])
  })

  it('to a trace stand on every panel of durations', () => {
    const durations = asking.filter(([, , { type, targets = [] }]) => {
      return (
        type === 'timeseries' && targets.some(({ expr }) => /_(?:duration|critical_path)_seconds_bucket/.test(expr))
      )
    })
    expect(durations.length).toBeGreaterThan(5)
    const without = durations.filter(([, , panel]) => !JSON.stringify(panel).includes('/explore?'))
    expect(without.map(([file, title]) => `${file} ${title}`)).toEqual([])
  })
})

it('lines of the log are asked for in LogQL', () => {
  const logs = titled.filter(([, , { type }]) => type === 'logs')
  expect(logs).toHaveLength(1)
  for (const [, , { targets = [] }] of logs) {
    for (const { expr } of targets) expect(parses(logql, expr.replace(/\$\w+/g, '.*')), expr).toBe(true)
  }
})

/** What Explore is to ask, when a task was clicked. */
function queryBehind(url: string): { type: string; text: string } {
  const filled = JSON.parse(`"${url}"`).replace(/\$\{__(?:data|field)[^}]+\}/g, 'render_clip') as string
  const panes = JSON.parse(new URL(filled, 'http://grafana').searchParams.get('panes') ?? '') as {
    a: { queries: [{ query?: string; expr?: string; datasource: { type: string } }] }
  }
  const [{ query, expr, datasource }] = panes.a.queries
  return { type: datasource.type, text: query ?? expr ?? '' }
}

function parses(parser: typeof logql | typeof traceql, text: string): boolean {
  let isGood = true
  parser.parse(text).iterate({
    enter: ({ type }) => {
      isGood &&= !type.isError
    },
  })
  return isGood
}

describe('redrawn for a user', () => {
  const text = files.map(textOf)
  const usual = { prefix: 'taskiq', limits: limits() }

  it('with the defaults they are what they were', () => {
    expect(text.map((each) => redrawn(each, usual))).toEqual(text)
  })

  it('they ask for series under another prefix', () => {
    const renamed = text.map((each) => redrawn(each, { ...usual, prefix: 'jobs' })).join('')
    expect(renamed).not.toContain('taskiq')
    expect(renamed).toContain('jobs_tasks_total')
    expect(renamed).toContain('%22jobs.')
  })

  it.each(Object.keys(THRESHOLDS))('a panel that names --%s draws its line where the user wants it', (flag) => {
    const own = titled.filter(([, , { description = '' }]) => description.includes(`\`--${flag}\``))
    const given = { ratio: '0.123', count: '77', duration: '77s', pattern: 'x' }
    const { kind } = THRESHOLDS[flag as keyof typeof THRESHOLDS]
    const expected = { ratio: 0.123, count: 77, duration: 77, pattern: Number.NaN }[kind]
    const chosen = { prefix: 'taskiq', limits: { ...limits(), [flag]: given[kind] } }
    for (const [file, title, { id }] of own) {
      const panel = (JSON.parse(redrawn(textOf(file), chosen)) as Dashboard).panels.find((each) => each.id === id)
      expect(JSON.stringify(panel), `${file} ${title}`).toContain(`"value":${expected}`)
    }
  })

  it('they leave out the dead-letter queues that the user names', () => {
    const queues = textOf('queues.json')
    const drawn = redrawn(queues, { ...usual, limits: { ...limits(), 'dead-letter-queues': 'morgue\\.[a-z]+' } })
    expect(drawn.match(/queue=~\\"[^$].+?\\"/g)).toEqual(['queue=~\\"morgue\\\\\\\\.[a-z]+\\"'])
  })

  it('a limit that has a line in Grafana names its flag', () => {
    const flags = new Set(titled.flatMap(([, , { description = '' }]) => description.match(/(?<=`--)[a-z-]+/g) ?? []))
    const drawn = [...Object.keys(THRESHOLDS)].filter((flag) => !NOT_DRAWN.has(flag))
    expect([...flags].sort()).toEqual(drawn.sort())
  })
})

/** No lines: how much must have happened, for how long, and what is looked at. */
const NOT_DRAWN: ReadonlySet<string> = new Set(['at-least', 'paused-for', 'dead-letter-queues', 'forget-after'])
