// What the queries of the dashboards returned in the test run, found again panel by panel.
import type { Dashboard, Panel } from '@grafana/grafana-foundation-sdk/dashboard'

/** One series: its labels, and its values as Prometheus writes them. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly (readonly [seconds: number, value: string])[]
}

interface Recorded {
  readonly panel: string
  readonly expr: string
  readonly type: string
  readonly result: readonly Series[]
}

export interface Results {
  readonly recordedAt: string
  /** What Grafana's `$__interval` stood for. */
  readonly intervalSeconds?: number
  readonly dashboards: Readonly<Record<string, readonly Recorded[]>>
}

export interface Target {
  readonly expr: string
  readonly legendFormat?: string
}

export interface Answered {
  readonly target: Target
  readonly result: readonly Series[]
}

export interface PanelJson extends Omit<Panel, 'targets' | 'gridPos'> {
  readonly targets?: readonly Target[]
  readonly gridPos: NonNullable<Panel['gridPos']>
}

export const panelsOf = (dashboard: Dashboard): readonly PanelJson[] =>
  (dashboard.panels ?? []) as unknown as PanelJson[]

export const recordedFor = (results: Results, file: string): readonly Recorded[] =>
  results.dashboards[file] ?? results.dashboards[file.replace(/\.json$/, '')] ?? []

/** The answers of a panel, query by query; none for one that does not ask Prometheus. */
export function answers(results: Results, file: string, panel: PanelJson): readonly Answered[] {
  const own = recordedFor(results, file).filter(
    ({ panel: title, type }) => title === panel.title && type === panel.type,
  )
  return (panel.targets ?? []).map((target) => {
    const found = own.find(({ expr }) => expr === target.expr)
    const result = (found?.result ?? []).map(numbers)
    // Counts per interval are asked once per interval, as Grafana does: nothing is to be shown twice.
    const isPerInterval = target.expr.includes('$__interval')
    return { target, result: isPerInterval ? result.map((series) => everySo(series, results.intervalSeconds)) : result }
  })
}

/** The panels with a query that the test did not ask: it ran before they were what they are. */
export function unasked(results: Results, file: string, dashboard: Dashboard): readonly string[] {
  const recorded = new Set(recordedFor(results, file).map(({ expr }) => expr))
  const asking = panelsOf(dashboard).filter(({ type }) => type !== 'logs')
  return asking
    .filter(({ targets = [] }) => targets.some(({ expr }) => !recorded.has(expr)))
    .map(({ title = '' }) => title)
}

function everySo({ metric, values }: Series, seconds = 1): Series {
  return { metric, values: values.filter(([time]) => Math.round(time) % seconds === 0) }
}

// Idle quantiles are NaN: to a picture they are not there.
function numbers({ metric, values }: Series): Series {
  return { metric, values: values.filter(([, value]) => Number.isFinite(Number(value))) }
}

/** As Grafana names a series. */
export function named({ legendFormat = '' }: Target, { metric }: Series): string {
  if (legendFormat !== '')
    return legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label: string) => metric[label] ?? '').trim()
  return Object.values(metric).join(' ')
}

export type Span = readonly [from: number, to: number]

/** From the first to the last moment of some series, in Unix seconds. */
export function span(all: readonly Series[]): Span {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (const { values } of all) {
    from = Math.min(from, values[0]?.[0] ?? from)
    to = Math.max(to, values.at(-1)?.[0] ?? to)
  }
  return [from, to]
}

/** The value at the last moment that anything of this answer has one. */
export function lastOf(series: Series, result: readonly Series[]): number | undefined {
  const [, to] = span(result)
  const last = series.values.at(-1)
  return last?.[0] === to ? Number(last[1]) : undefined
}
