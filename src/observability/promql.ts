// The words of the rules in PromQL: metric names under a prefix, names of recorded series, and what every rule asks alike.
import { METRIC, type MetricKey, type MetricName, WATCH_METRIC } from '../kernel/names.ts'

export type SeriesKey = MetricKey | keyof typeof WATCH_METRIC

const ALL: readonly (readonly [SeriesKey, MetricName])[] = [
  ...(Object.entries(METRIC) as [MetricKey, MetricName][]),
  ...(Object.entries(WATCH_METRIC) as [keyof typeof WATCH_METRIC, MetricName][]),
]

/** Full names by key: `{ tasks: 'taskiq_tasks_total', … }`. */
export function seriesNames(prefix: string): Readonly<Record<SeriesKey, string>> {
  return Object.fromEntries(ALL.map(([key, { name }]) => [key, `${prefix}_${name}`])) as Record<SeriesKey, string>
}

// How long a series may not have been scraped and still be the one from before, not a new one that counts in full. It is
// also how far Prometheus reads back at each evaluation, so what has many series is given less.
const BEFORE = '1h'

/**
 * What each counter of a selector gained within a window, as whole numbers. `increase()` extrapolates, and it misses the
 * first event of a series that appears with it, which is how most counters here begin. A counter that began anew counts
 * from zero, and one whose process has ended within the window still counts.
 *
 * @param selector a counter, `taskiq_tasks_lost_total{queue="render"}`
 * @param window `5m`
 * @param before how long ago the value before may have been told
 */
export function gained(selector: string, window: string, before = BEFORE): string {
  const now = `last_over_time(${selector}[${window}])`
  return `${now} - last_over_time(${selector}[${before}] offset ${window}) >= 0 or ${now}`
}

/** Marks series as those of something that was known and is gone. */
export function gone(series: string): string {
  return `label_replace(${series}, "reason", "gone", "", "")`
}

/** What a series said last, where it was seen within `forgetAfter` and is no more. */
export function vanished(recorded: string, by: string, forgetAfter: string): string {
  return `last_over_time(${recorded}[${forgetAfter}]) unless on (${by}) ${recorded}`
}

/**
 * What a recorded series said last, for one that carries itself on: each evaluation writes it anew, so an hour bridges a
 * restart of Prometheus and no more need be read.
 */
export function carried(recorded: string): string {
  return `last_over_time(${recorded}[1h])`
}

/** A string in PromQL. */
export function quoted(text: string): string {
  return JSON.stringify(text)
}

/** Any of some values, for `=~`. What RE2 takes for a sign is escaped: a task may be named `clip.render+`. */
export function anyOf(values: readonly string[]): string {
  return quoted(values.map((value) => value.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|'))
}

/** In a text: which worker it is, or the process where nobody knows. */
export const WHO = '{{ with $labels.worker }}{{ $labels.app }} {{ . }}{{ else }}{{ $labels.instance }}{{ end }}'
