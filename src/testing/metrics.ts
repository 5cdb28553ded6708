// Reads single values out of a prom-client registry.
import { Registry } from 'prom-client'

/** One series: its labels, its value, and the exemplar of its last observation. */
export interface Series {
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
  readonly exemplar?: Readonly<Record<string, string | number>> | undefined
}

type Labels = Readonly<Record<string, string | number>>

export interface MetricRecorder {
  /** Hand it to `telemetry({ registry })`. */
  readonly registry: Registry
  /**
   * The value of a counter or gauge, or a histogram's `<name>_count`, `<name>_sum`, `<name>_bucket`, summed over the
   * series that have these labels. Undefined when there is none: not observed is not zero.
   */
  value(name: string, labels?: Labels): Promise<number | undefined>
  /** The series that have these labels, among others. */
  series(name: string, labels?: Labels): Promise<Series[]>
  /** Sets everything back to nothing. */
  reset(): void
}

/**
 * Reads metrics in tests.
 *
 * @param registry default: a new one, so that tests do not see each other's
 * @example
 * const metrics = recordMetrics()
 * const instrument = bullmq(telemetry({ registry: metrics.registry }))
 * expect(await metrics.value('taskiq_tasks_total', { outcome: 'success' })).toBe(1)
 */
export function recordMetrics(registry: Registry = new Registry()): MetricRecorder {
  async function series(name: string, labels: Labels = {}): Promise<Series[]> {
    const all = (await registry.getMetricsAsJSON()) as unknown as { name: string; values: Sample[] }[]
    const samples = all.flatMap((metric) =>
      metric.values.filter((sample) => (sample.metricName ?? metric.name) === name && has(sample.labels, labels)),
    )
    return samples.map(({ labels, value, exemplar }) => ({ labels, value, exemplar: exemplar?.labelSet }))
  }
  return {
    registry,
    series,
    async value(name, labels) {
      const found = await series(name, labels)
      return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
    },
    reset: () => registry.resetMetrics(),
  }
}

interface Sample {
  readonly labels: Labels
  readonly value: number
  readonly metricName?: string
  readonly exemplar?: { readonly labelSet: Labels } | undefined
}

function has(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => String(labels[key]) === String(value))
}
