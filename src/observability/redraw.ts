// A dashboard as it ships, made a user's own: metric names under another prefix, and lines where the alerts' limits are.
import { DEFAULT_PREFIX } from '../kernel/names.ts'
import { secondsOf } from './durations.ts'
import { quoted } from './promql.ts'
import { type Limits, THRESHOLDS, type ThresholdName } from './thresholds.ts'

interface Thresholds {
  readonly steps: readonly { value: number | null; readonly color: string }[]
}

interface Panel {
  readonly description?: string
  readonly fieldConfig?: {
    readonly defaults: { readonly thresholds?: Thresholds }
    readonly overrides: readonly { readonly properties: readonly { readonly id: string; readonly value: unknown }[] }[]
  }
}

/** The colours of limits, lowest first; whatever has another colour is no limit of an alert. */
export const LIMIT_COLOURS = ['orange', 'red']

/**
 * @param dashboard its JSON, as it ships
 * @param options.limits where the lines are drawn: a panel's description names the flags of its lines, lowest first
 */
export function redrawn(dashboard: string, { prefix, limits }: { prefix: string; limits: Limits }): string {
  // Metrics have a `_` behind the prefix, spans a dot.
  const renamed = dashboard.replaceAll(new RegExp(`${DEFAULT_PREFIX}(?=[_.])`, 'g'), prefix)
  // In JSON, in a string of PromQL.
  const pattern = JSON.stringify(quoted(limits['dead-letter-queues']).slice(1, -1)).slice(1, -1)
  const exempting = renamed.replaceAll(THRESHOLDS['dead-letter-queues'].default, () => pattern)
  const made = JSON.parse(exempting) as { panels: readonly Panel[] }
  for (const panel of made.panels) redraw(panel, limits)
  return `${JSON.stringify(made, null, 2)}\n`
}

function redraw({ description = '', fieldConfig }: Panel, limits: Limits): void {
  if (fieldConfig === undefined) return
  const flags = [...description.matchAll(/`--([a-z-]+)`/g)].map(([, flag]) => flag as ThresholdName)
  const ofColumns = fieldConfig.overrides.flatMap(({ properties }) =>
    properties.filter(({ id }) => id === 'thresholds'),
  )
  const all = [fieldConfig.defaults.thresholds, ...ofColumns.map(({ value }) => value as Thresholds)]
  const drawn = all.flatMap((each) => each?.steps ?? []).filter(({ color }) => LIMIT_COLOURS.includes(color))
  for (const [at, flag] of flags.entries()) {
    const step = drawn[at]
    if (step !== undefined) step.value = lineAt(flag, limits)
  }
}

/** Where a limit is drawn: durations in seconds. */
export function lineAt(name: ThresholdName, limits: Limits): number {
  return THRESHOLDS[name].kind === 'duration' ? (secondsOf(limits[name]) ?? Number.NaN) : Number(limits[name])
}
