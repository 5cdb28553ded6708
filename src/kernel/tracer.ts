// The tracer of whichever provider is registered now: an SDK may come late, and tests exchange it.
import { type Tracer, type TracerProvider, trace } from '@opentelemetry/api'
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
