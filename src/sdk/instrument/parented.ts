// A tracer provider for instrumentations: a call belongs to what made it, and outside of that it begins no trace.
import {
  context,
  INVALID_SPAN_CONTEXT,
  isSpanContextValid,
  SpanKind,
  type Tracer,
  type TracerProvider,
  trace,
} from '@opentelemetry/api'

/** A request that came in, or a message, is a beginning; a poll on a timer is not, and would be a trace of its own each time. */
const BEGINNINGS: ReadonlySet<SpanKind | undefined> = new Set([SpanKind.SERVER, SpanKind.CONSUMER])

export function parented(provider: TracerProvider): TracerProvider {
  return {
    getTracer(name, version, options) {
      const tracer = provider.getTracer(name, version, options)
      const startSpan: Tracer['startSpan'] = (span, given, within = context.active()) => {
        const parent = trace.getSpanContext(within)
        const isInside = parent !== undefined && isSpanContextValid(parent)
        if (isInside || BEGINNINGS.has(given?.kind)) return tracer.startSpan(span, given, within)
        return trace.wrapSpanContext(INVALID_SPAN_CONTEXT)
      }
      return { startSpan, startActiveSpan: tracer.startActiveSpan.bind(tracer) as Tracer['startActiveSpan'] }
    },
  }
}
