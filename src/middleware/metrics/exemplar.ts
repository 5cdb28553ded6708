// The exemplar of the active span, when it is sampled: the bridge from a metric to its trace.
import { context, TraceFlags, trace } from '@opentelemetry/api'
import type { Exemplar } from './instruments.ts'

/** `{trace_id, span_id}` of the active sampled span; 64 characters, so within OpenMetrics' 128. */
export function exemplar(value: number): Exemplar | undefined {
  const active = trace.getSpanContext(context.active())
  if (active === undefined || (active.traceFlags & TraceFlags.SAMPLED) === 0) return undefined
  return { labelSet: { trace_id: active.traceId, span_id: active.spanId }, value, timestamp: Date.now() / 1000 }
}
