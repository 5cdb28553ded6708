// In a contender's process: OpenTelemetry as an application sets it up, with spans made in full, counted and thrown away.
import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'

/** Registers them for this process. @returns what counts the spans that ended */
export function countSpans() {
  const counted = { ended: 0, onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} }
  counted.onEnd = () => void counted.ended++
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(
    new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  )
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [counted] }))
  return counted
}

/** Headers as a sender in a trace of its own writes them. */
export function carrier(at) {
  const hex = (length, seed) => seed.toString(16).padStart(length, 'a')
  return { traceparent: `00-${hex(32, 7_000_003 * (at + 1))}-${hex(16, 90_001 * (at + 1))}-01` }
}
