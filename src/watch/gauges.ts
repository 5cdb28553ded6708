// The gauges of watch() in the telemetry's registry, and boards that take back what is no longer known.
import type { Registry } from 'prom-client'
import { TaskspanError } from '../kernel/errors.ts'
import { type MetricName, WATCH_METRIC } from '../kernel/names.ts'
import { type Value, Values } from '../middleware/metrics/instruments.ts'
import { fullName, type Instruments, instruments, instrumentsOf } from '../middleware/metrics/registry.ts'
import { MAX_SERIES } from '../middleware/metrics/series.ts'

type Own = Record<keyof typeof WATCH_METRIC, Values>

/** What watch() writes: gauges of its own, and those of schedules, which runs of a schedule write too. */
export type Gauges = Own & Pick<Instruments, 'cronNextRun' | 'cronInterval' | 'cronLastSuccess'>

/** One series: `undefined` is not known, so not shown. */
export type Reading = readonly [gauge: keyof Gauges, labels: readonly string[], value: number | undefined]

// As with the instruments of tasks: a second watch, a hot reload, another copy of the package find them again.
const BRAND = Symbol.for('taskspan.gauges.1')

/** @throws {TaskspanError} `METRIC_NAME_TAKEN` */
export function gauges(registry: Registry, prefix: string): Gauges {
  const marker = registry.getSingleMetric(fullName(prefix, WATCH_METRIC.queueDepth)) as { [BRAND]?: Gauges } | undefined
  if (marker?.[BRAND] !== undefined) return marker[BRAND]
  const entries = Object.entries(WATCH_METRIC) as [keyof Own, MetricName][]
  for (const [, metric] of entries) {
    const name = fullName(prefix, metric)
    if (registry.getSingleMetric(name) === undefined) continue
    throw new TaskspanError('METRIC_NAME_TAKEN', `watch: '${name}' is already registered by something else.`)
  }
  const { caps, cronNextRun, cronInterval, cronLastSuccess } =
    instrumentsOf(registry, prefix) ?? instruments(registry, { prefix })
  const own = Object.fromEntries(
    entries.map(([key, metric]) => [key, new Values(fullName(prefix, metric), metric, registry, caps, MAX_SERIES)]),
  ) as Own
  const all = { ...own, cronNextRun, cronInterval, cronLastSuccess }
  Object.assign(own.queueDepth, { [BRAND]: all })
  return all
}

/** The series of one source: what its latest look no longer says vanishes. */
export class Board {
  private shown = new Set<Value>()

  constructor(private readonly gauges: Gauges | undefined) {}

  show(readings: Iterable<Reading>): void {
    if (this.gauges === undefined) return
    const before = this.shown
    this.shown = new Set()
    for (const [gauge, labels, value] of readings) {
      if (value === undefined || !Number.isFinite(value)) continue
      const cell = this.gauges[gauge].cell(...labels)
      cell.set(value)
      this.shown.add(cell)
    }
    for (const cell of before) if (!this.shown.has(cell)) cell.unset()
  }

  clear(): void {
    this.show([])
  }
}
