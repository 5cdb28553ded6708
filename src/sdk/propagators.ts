// OTEL_PROPAGATORS: in which headers trace context travels.
import type { TextMapPropagator } from '@opentelemetry/api'
import { list } from './environment.ts'
import { load } from './packages.ts'
import type { Problems } from './problems.ts'

type Core = typeof import('@opentelemetry/core')
type B3 = typeof import('@opentelemetry/propagator-b3')

/** Undefined leaves the SDK's default, W3C trace context and baggage; null is none at all. */
export function propagator(problems: Problems): TextMapPropagator | null | undefined {
  const names = list('OTEL_PROPAGATORS')
  if (names === undefined) return undefined
  if (names.includes('none')) return null
  const core = load<Core>('@opentelemetry/core', '@opentelemetry/sdk-trace-node')
  const propagators = names.flatMap((name) => {
    try {
      return make(name, core)
    } catch (error) {
      problems.add('propagator', `OTEL_PROPAGATORS names ${name}, but ${(error as Error).message}`)
      return []
    }
  })
  return new core.CompositePropagator({ propagators })
}

function make(name: string, core: Core): TextMapPropagator {
  if (name === 'tracecontext') return new core.W3CTraceContextPropagator()
  if (name === 'baggage') return new core.W3CBaggagePropagator()
  if (name !== 'b3' && name !== 'b3multi') {
    throw new Error('start() knows tracecontext, baggage, b3, b3multi and none')
  }
  const { B3InjectEncoding, B3Propagator } = load<B3>('@opentelemetry/propagator-b3')
  const { MULTI_HEADER, SINGLE_HEADER } = B3InjectEncoding
  return new B3Propagator({ injectEncoding: name === 'b3' ? SINGLE_HEADER : MULTI_HEADER })
}
