// The cells that tasks touch: one number, or the distribution of many; plain additions, and the last sampled span behind them.
import type { SpanContext } from '@opentelemetry/api'
import { LastSampled } from './exemplar.ts'

export class Value {
  touched = false
  value = 0
  last: LastSampled | undefined

  add(amount: number): void {
    this.touched = true
    this.value += amount
  }

  /** Keeps the sampled span behind the latest increment, at a time in ms since the epoch. */
  mark(span: SpanContext, at: number): void {
    this.last ??= new LastSampled()
    this.last.keep(span, 1, at)
  }

  set(value: number): void {
    this.touched = true
    this.value = value
  }

  /** The series vanishes until it is set again: what is not known is not zero. */
  unset(): void {
    this.touched = false
  }
}

export class Distribution {
  touched = false
  sum = 0
  count = 0
  readonly counts: number[]
  readonly last: (LastSampled | undefined)[]

  constructor(readonly bounds: readonly number[]) {
    this.counts = new Array<number>(bounds.length + 1).fill(0)
    this.last = new Array<LastSampled | undefined>(bounds.length + 1).fill(undefined)
  }

  /** @param span the sampled span behind the value, observed at `at` ms since the epoch */
  observe(value: number, span?: SpanContext, at = 0): void {
    const { bounds } = this
    let bucket = 0
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
    this.touched = true
    this.sum += value
    this.count++
    this.counts[bucket] = (this.counts[bucket] as number) + 1
    if (span !== undefined) this.keep(bucket, span, value, at)
  }

  /** Adds values that another process has counted; where its buckets are others, each goes where its upper bound is. */
  addAll(counts: readonly number[], bounds: readonly number[], sum: number): void {
    this.touched = true
    this.sum += sum
    for (let from = 0; from < counts.length; from++) {
      const bucket = this.bucketOf(bounds[from] ?? Number.POSITIVE_INFINITY)
      this.counts[bucket] = (this.counts[bucket] as number) + (counts[from] as number)
      this.count += counts[from] as number
    }
  }

  /** Keeps the sampled span behind a value that is counted already. */
  mark(span: SpanContext, value: number, at: number): void {
    this.keep(this.bucketOf(value), span, value, at)
  }

  private bucketOf(value: number): number {
    const at = this.bounds.findIndex((bound) => value <= bound)
    return at < 0 ? this.bounds.length : at
  }

  private keep(bucket: number, span: SpanContext, value: number, at: number): void {
    let last = this.last[bucket]
    if (last === undefined) {
      last = new LastSampled()
      this.last[bucket] = last
    }
    last.keep(span, value, at)
  }
}
