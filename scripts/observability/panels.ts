// The kinds of panels that dashboards are made of: how each looks, whatever it shows.
import * as common from '@grafana/grafana-foundation-sdk/common'
import { FieldColorModeId, MappingType } from '@grafana/grafana-foundation-sdk/dashboard'
import * as heat from '@grafana/grafana-foundation-sdk/heatmap'
import { PanelBuilder as Logs } from '@grafana/grafana-foundation-sdk/logs'
import { DataqueryBuilder as LokiQuery } from '@grafana/grafana-foundation-sdk/loki'
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as StateTimeline } from '@grafana/grafana-foundation-sdk/statetimeline'
import { PanelBuilder as TimeSeries } from '@grafana/grafana-foundation-sdk/timeseries'
import { described, type Look, type Query, query, SOURCE, type Spec, steps } from './panel.ts'
import { RANGE } from './phrases.ts'

export interface Lines extends Spec {
  readonly queries: readonly Query[]
  /** The histogram behind it keeps a trace per bucket: shown as dots that open it. */
  readonly exemplars?: boolean
  readonly stacked?: boolean
  /** Series end with an outcome: each has its colour. */
  readonly byOutcome?: boolean
  /** Below 0 means something. */
  readonly signed?: boolean
  readonly max?: number
}

const OUTCOMES = {
  success: 'green',
  'failure|lost|timeout': 'red',
  retry: 'orange',
  rejected: 'purple',
  deferred: 'blue',
  cancelled: 'gray',
} as const

/** Lines over time. */
export function lines(spec: Lines): TimeSeries {
  const panel = look(new TimeSeries(), spec)
    .datasource(SOURCE.prometheus)
    .targets(spec.queries.map((each) => query(each).exemplar(spec.exemplars === true)))
    .legend(legend())
    .tooltip(tooltip())
    .lineWidth(1)
    .fillOpacity(spec.stacked ? 40 : 6)
    .showPoints(common.VisibilityMode.Auto)
    .pointSize(4)
  if (!spec.signed) panel.min(0)
  for (const [outcome, colour] of spec.byOutcome ? Object.entries(OUTCOMES) : []) {
    const color = { mode: FieldColorModeId.Fixed, fixedColor: colour }
    panel.overrideByRegexp(`/\\b(${outcome})$/`, [{ id: 'color', value: color }])
  }
  if (spec.max !== undefined) panel.max(spec.max)
  if (spec.stacked) panel.stacking(new common.StackingConfigBuilder().mode(common.StackingMode.Normal).group('A'))
  if (spec.lines !== undefined || spec.bad !== undefined) {
    panel.thresholdsStyle(new common.GraphThresholdsStyleConfigBuilder().mode(common.GraphThresholdsStyleMode.Dashed))
  }
  return panel
}

/** Counts per interval as bars on each other. */
export function bars(spec: Lines): TimeSeries {
  return lines({ ...spec, stacked: true })
    .drawStyle(common.GraphDrawStyle.Bars)
    .lineWidth(0)
    .fillOpacity(80)
    .decimals(0)
    .interval('1m')
}

/** One number, coloured by its limits. */
export function number(spec: Spec & { readonly expr: string; readonly none?: string }): Stat {
  // What counts over the whole time shown is asked once: at each moment of that time it would be a window twice as long.
  const isInstant = spec.expr.includes(RANGE)
  const target = query({ expr: spec.expr }, isInstant ? 'instant' : 'range')
  const isBad = spec.lines !== undefined || spec.bad !== undefined
  return look(new Stat(), { w: 3, h: 4, ...spec })
    .datasource(SOURCE.prometheus)
    .targets([target])
    .reduceOptions(new common.ReduceDataOptionsBuilder().calcs(['lastNotNull']))
    .colorMode(isBad ? common.BigValueColorMode.Value : common.BigValueColorMode.None)
    .graphMode(isInstant ? common.BigValueGraphMode.None : common.BigValueGraphMode.Area)
    .noValue(spec.none ?? 'none')
}

/** How many fell into each bucket of a histogram. */
export function heatmap(spec: Spec & { readonly expr: string }): heat.PanelBuilder {
  const buckets = query({ expr: spec.expr, legend: '{{le}}' }, 'heatmap').exemplar(true)
  return look(new heat.PanelBuilder(), spec)
    .datasource(SOURCE.prometheus)
    .targets([buckets])
    .calculate(false)
    .yAxis(new heat.YAxisConfigBuilder().unit(spec.unit ?? 's'))
    .color(
      new heat.HeatmapColorOptionsBuilder()
        .mode(heat.HeatmapColorMode.Scheme)
        .scheme('Oranges')
        .scale(heat.HeatmapColorScale.Exponential)
        .exponent(0.5)
        .steps(64),
    )
    .filterValues(new heat.FilterValueRangeBuilder().le(1e-9))
    .exemplarsColor('rgba(255,0,255,0.7)')
    .showLegend()
}

/** What each was over time, as coloured bands: 0 and 1, and what they are called. */
export function bands(
  spec: Spec & { readonly queries: readonly Query[]; readonly names: readonly [string, string] },
): StateTimeline {
  const [off, on] = spec.names
  const named = { '0': { text: off, color: 'green', index: 0 }, '1': { text: on, color: 'red', index: 1 } }
  return look(new StateTimeline(), spec)
    .datasource(SOURCE.prometheus)
    .targets(spec.queries.map((each) => query(each)))
    .mappings([{ type: MappingType.ValueToText, options: named }])
    .showValue(common.VisibilityMode.Auto)
    .fillOpacity(70)
    .lineWidth(0)
    .legend(legend())
}

/** Lines of the log, newest first. */
export function logs(spec: Spec & { readonly logql: string }): Logs {
  return look(new Logs(), spec)
    .datasource(SOURCE.loki)
    .targets([new LokiQuery().datasource(SOURCE.loki).refId('A').expr(spec.logql).queryType('range').maxLines(500)])
    .showTime(true)
    .wrapLogMessage(true)
    .enableLogDetails(true)
    .sortOrder(common.LogsSortOrder.Descending)
    .dedupStrategy(common.LogsDedupStrategy.None)
}

// What every kind has.
export function look<P extends Look>(panel: P, spec: Spec): P {
  panel
    .title(spec.title)
    .description(described(spec))
    .span(spec.w ?? 12)
    .height(spec.h ?? 8)
    .thresholds(steps(spec))
  if (spec.unit !== undefined) panel.unit(spec.unit)
  if (spec.links !== undefined) panel.dataLinks([...spec.links])
  return panel
}

function legend(): common.VizLegendOptionsBuilder {
  return new common.VizLegendOptionsBuilder()
    .showLegend(true)
    .displayMode(common.LegendDisplayMode.List)
    .placement(common.LegendPlacement.Bottom)
    .calcs([])
}

function tooltip(): common.VizTooltipOptionsBuilder {
  return new common.VizTooltipOptionsBuilder().mode(common.TooltipDisplayMode.Multi).sort(common.SortOrder.Descending)
}
