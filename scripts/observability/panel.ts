// What is said of any panel: its queries, its description, and the lines that its alerts judge by.
import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import type { DashboardLink, Panel, ThresholdsConfig } from '@grafana/grafana-foundation-sdk/dashboard'
import { ThresholdsConfigBuilder, ThresholdsMode } from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder, PromQueryFormat, QueryEditorMode } from '@grafana/grafana-foundation-sdk/prometheus'
import type { AlertName } from '../../src/observability/alerts.ts'
import { LIMIT_COLOURS, lineAt } from '../../src/observability/redraw.ts'
import { limits, type ThresholdName } from '../../src/observability/thresholds.ts'

/** Chosen in the dashboard, so that it can be imported beside other data sources. */
export const SOURCE = {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's variables
  prometheus: { type: 'prometheus', uid: '${prometheus}' },
  // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's variables
  loki: { type: 'loki', uid: '${loki}' },
} as const

export interface Spec {
  readonly title: string
  /** What it shows, in a sentence or two. */
  readonly what: string
  /** The alerts that judge what it shows. */
  readonly alerts?: readonly AlertName[]
  /** Limits of those alerts, lowest first: drawn as lines, or as colours of a number. */
  readonly lines?: readonly ThresholdName[]
  /** From where on a number is bad that no limit judges; 1 where any is one too many. */
  readonly bad?: number
  readonly unit?: string
  readonly w?: number
  readonly h?: number
  readonly links?: readonly Builder<DashboardLink>[]
}

export interface Query {
  readonly expr: string
  readonly legend?: string
}

/** The calls that every kind of panel takes alike. */
export interface Look extends Builder<Panel> {
  id(id: number): this
  title(title: string): this
  description(text: string): this
  span(width: number): this
  height(height: number): this
  unit(unit: string): this
  thresholds(config: Builder<ThresholdsConfig>): this
  dataLinks(links: Builder<DashboardLink>[]): this
}

export function query(
  { expr, legend }: Query,
  as: 'range' | 'instant' | 'table' | 'heatmap' = 'range',
): DataqueryBuilder {
  const made = new DataqueryBuilder().datasource(SOURCE.prometheus).expr(expr).editorMode(QueryEditorMode.Code)
  if (legend !== undefined) made.legendFormat(legend)
  if (as === 'table') return made.instant().format(PromQueryFormat.Table)
  if (as === 'instant') return made.instant().format(PromQueryFormat.TimeSeries)
  return made.range().format(as === 'heatmap' ? PromQueryFormat.Heatmap : PromQueryFormat.TimeSeries)
}

// The flags in the description say to people, and to the command that writes these files with a user's own limits, which
// of them a line is.
export function described({ what, alerts = [], lines = [] }: Spec): string {
  const drawn = lines.map((name) => `\`--${name}\``).join(', ')
  const judged = alerts.length > 0 ? `Judged by ${alerts.join(', ')}.` : 'No alert judges it.'
  return [what, drawn && `${lines.length > 1 ? 'Limits' : 'Limit'}: ${drawn}.`, judged].filter(Boolean).join(' ')
}

export function steps({ lines = [], bad }: Spec): ThresholdsConfigBuilder {
  const colours = LIMIT_COLOURS.slice(-lines.length)
  const drawn = lines.map((name, at) => ({ value: lineAt(name, limits()), color: colours[at] ?? 'red' }))
  if (bad !== undefined) drawn.push({ value: bad, color: 'dark-red' })
  return new ThresholdsConfigBuilder()
    .mode(ThresholdsMode.Absolute)
    .steps([{ value: null, color: drawn.length > 0 ? 'green' : 'text' }, ...drawn])
}
