// The exemplar of a task's span, when it is sampled: the bridge from a metric to its trace.
import { context, type SpanContext, TraceFlags, trace } from '@opentelemetry/api'
import { fault } from '../../kernel/faults.ts'
import type { Task } from '../../kernel/task.ts'

/** The span of a task, else the one around it, if it is sampled: to be kept with a value. */
export function sampledSpan({ span }: Task): SpanContext | undefined {
  // Guarded by itself: without a trace to point to there is still something to count.
  try {
    const found = span === undefined ? trace.getSpanContext(context.active()) : span.spanContext()
    return found !== undefined && (found.traceFlags & TraceFlags.SAMPLED) !== 0 ? found : undefined
  } catch (error) {
    fault('metrics', 'exemplar', error)
    return undefined
  }
}

/** What stands behind a sample in OpenMetrics; 64 characters of ids, so within its limit of 128. */
export interface Exemplar {
  readonly labelSet: { readonly trace_id: string; readonly span_id: string }
  readonly value: number
  /** Unix seconds. */
  readonly timestamp: number
}

/** Keeps the last sampled observation of a cell or bucket; written per task, so it only keeps, and is read at a scrape. */
export class LastSampled {
  private span: SpanContext | undefined
  private value = 0
  private at = 0

  keep(span: SpanContext, value: number, at: number): void {
    this.span = span
    this.value = value
    this.at = at
  }

  get exemplar(): Exemplar | undefined {
    if (this.span === undefined) return undefined
    const { traceId, spanId } = this.span
    return { labelSet: { trace_id: traceId, span_id: spanId }, value: this.value, timestamp: this.at / 1000 }
  }
}
