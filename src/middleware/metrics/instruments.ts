// Counters, gauges and histograms: our accumulators as ordinary metrics to a scrape, plain additions to a task.
import type { Registry } from 'prom-client'
import type { MetricName } from '../../kernel/names.ts'
import type { Change } from '../../kernel/report/changes.ts'
import { Distribution, Value } from './cells.ts'
import { Instrument, type Sample, SEPARATOR, type Snapshot } from './instrument.ts'
import type { LabelCaps } from './labels.ts'

export { Distribution, Value }

/** A counter or a gauge. */
export class Values extends Instrument<Value> {
  /** Of a gauge: where it stands in other processes, by who told. */
  readonly elsewhere = new Map<object, readonly Change[]>()

  override async getForPromString(): Promise<Snapshot> {
    const snapshot = await super.getForPromString()
    if (this.elsewhere.size === 0) return snapshot
    const add = this.aggregator === 'sum' ? (a: number, b: number) => a + b : Math.max
    const all = new Map(snapshot.values.map((sample) => [keyOf(sample.labels), sample]))
    for (const { labels: values, value } of [...this.elsewhere.values()].flat()) {
      const labels = Object.fromEntries(this.labelNames.map((name, at) => [name, this.admit(name, values[at] ?? '')]))
      const known = all.get(keyOf(labels))
      if (known !== undefined) known.value = add(known.value, value)
      else if (all.size < MAX_ELSEWHERE) all.set(keyOf(labels), { labels, value })
    }
    return { ...snapshot, values: [...all.values()] }
  }

  /** Sets what was touched to zero, for a gauge that is counted anew at each scrape. */
  zero(): void {
    for (const { cell } of this.cells.values()) cell.value = 0
  }

  protected create(): Value {
    return new Value()
  }

  protected clear(cell: Value): void {
    cell.value = 0
    cell.last = undefined
  }

  protected sample(labels: Record<string, string>, cell: Value, into: Sample[]): void {
    into.push({ labels, value: cell.value, exemplar: cell.last?.exemplar })
  }

  /** The series that stand now, without a scrape. */
  series(): { readonly labels: Readonly<Record<string, string>>; readonly value: number }[] {
    return [...this.cells.values()]
      .filter(({ cell }) => cell.touched)
      .map(({ labels, cell }) => ({ labels, value: cell.value }))
  }
}

export class Histogram extends Instrument<Distribution> {
  constructor(
    name: string,
    definition: MetricName,
    registry: Registry,
    caps: LabelCaps,
    maxSeries: number,
    readonly bounds: readonly number[],
    extraLabels: readonly string[] = [],
  ) {
    super(name, definition, registry, caps, maxSeries, extraLabels)
  }

  protected create(): Distribution {
    return new Distribution(this.bounds)
  }

  protected clear(cell: Distribution): void {
    cell.sum = 0
    cell.count = 0
    cell.counts.fill(0)
    cell.last.fill(undefined)
  }

  protected sample(sharedLabels: Record<string, string>, cell: Distribution, into: Sample[]): void {
    const metricName = `${this.fullName}_bucket`
    let total = 0
    for (let at = 0; at < cell.counts.length; at++) {
      total += cell.counts[at] as number
      const le = this.bounds[at] ?? '+Inf'
      into.push({ labels: { le }, sharedLabels, value: total, metricName, exemplar: cell.last[at]?.exemplar })
    }
    into.push({ labels: {}, sharedLabels, value: cell.sum, metricName: `${this.fullName}_sum` })
    into.push({ labels: {}, sharedLabels, value: cell.count, metricName: `${this.fullName}_count` })
  }
}

function keyOf(labels: Record<string, string | number>): string {
  return Object.values(labels).join(SEPARATOR)
}

const MAX_ELSEWHERE = 5_000
