// The tracer of whichever provider is registered now: an SDK may come late, and tests exchange it.
import { ProxyTracerProvider, type Tracer, type TracerProvider, trace } from '@opentelemetry/api'
import { VERSION } from './version.ts'

let provider: TracerProvider | undefined
let tracer: Tracer | undefined

export function currentTracer(): Tracer {
  const registered = trace.getTracerProvider()
  if (tracer === undefined || registered !== provider) {
    provider = registered
    tracer = registered.getTracer('taskspan', VERSION)
  }
  return tracer
}

/** The tracer provider that an SDK (the user's, ours, a test's) has registered; undefined when there is none. */
export function registeredProvider(): TracerProvider | undefined {
  const global = trace.getTracerProvider()
  if (!('getDelegate' in global)) return global
  // Before a registration the API hands out a proxy whose delegate is its own no-op provider.
  const delegate = (global as ProxyTracerProvider).getDelegate()
  return delegate === new ProxyTracerProvider().getDelegate() ? undefined : delegate
}
