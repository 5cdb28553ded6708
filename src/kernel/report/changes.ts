// How much a series has grown in another process since it last told, or where a gauge stands; checked when it is read.
import type { SpanContext } from '@opentelemetry/api'
import { readSpanIds } from '../handover.ts'

export interface Change {
  /** Its key among the names of `METRIC`. */
  readonly metric: string
  /** Values in the order of the metric's labels. */
  readonly labels: readonly string[]
  /** Of a counter: what was added. Of a gauge: where it stands. Of a histogram: what its sum has grown by. */
  readonly value: number
  /** Of a histogram: how many more are in each bucket, the last without bound. */
  readonly counts?: readonly number[] | undefined
  /** The buckets' upper bounds. */
  readonly bounds?: readonly number[] | undefined
  /** The last sampled value of each bucket that has one; a counter has one bucket. */
  readonly exemplars?: readonly ExemplarOf[] | undefined
}

export interface ExemplarOf {
  readonly bucket: number
  readonly span: SpanContext
  readonly value: number
  /** ms since the epoch. */
  readonly at: number
}

const MAX_CHANGES = 20_000
const MAX_LABELS = 10
const MAX_BOUNDS = 51
const MAX_TEXT = 1_024

/** @param wrong counts what is left out */
export function readChanges(given: unknown, wrong: () => never[]): Change[] {
  if (given === undefined) return []
  if (!Array.isArray(given)) return wrong()
  if (given.length > MAX_CHANGES) wrong()
  return given.slice(0, MAX_CHANGES).flatMap((each) => readChange(each) ?? wrong())
}

function readChange(given: Partial<Record<keyof Change, unknown>> | null): Change | undefined {
  const { metric, labels, value, counts, bounds, exemplars } = given ?? {}
  if (typeof metric !== 'string' || !Number.isFinite(value)) return undefined
  if (!isListOf(labels, MAX_LABELS, (label) => typeof label === 'string' && label.length <= MAX_TEXT)) return undefined
  const change = { metric, labels: labels as string[], value: value as number, exemplars: readExemplars(exemplars) }
  if (counts === undefined) return change
  // Histograms are of durations: a negative number in one would take back what others have counted.
  if (!isListOf(counts, MAX_BOUNDS, (n) => Number.isSafeInteger(n) && (n as number) >= 0)) return undefined
  if (!isListOf(bounds, MAX_BOUNDS, Number.isFinite) || (value as number) < 0) return undefined
  if ((counts as number[]).length !== (bounds as number[]).length + 1) return undefined
  return { ...change, counts: counts as number[], bounds: bounds as number[] }
}

function readExemplars(given: unknown): ExemplarOf[] {
  if (!Array.isArray(given)) return []
  return given.slice(0, MAX_BOUNDS).flatMap((each: Partial<ExemplarOf> | null) => {
    const span = readSpanIds(each?.span)
    const { bucket, value, at } = each ?? {}
    if (span === undefined || !Number.isInteger(bucket) || !Number.isFinite(value) || !Number.isFinite(at)) return []
    return { bucket: bucket as number, span, value: value as number, at: at as number }
  })
}

function isListOf(value: unknown, max: number, ok: (item: unknown) => boolean): value is unknown[] {
  return Array.isArray(value) && value.length <= max && value.every(ok)
}
