// The propagators that somebody's process may have registered; each takes the place of the one before.
import { propagation, type TextMapPropagator } from '@opentelemetry/api'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { B3InjectEncoding, B3Propagator } from '@opentelemetry/propagator-b3'

const boom = (): never => {
  throw new Error('the propagator broke')
}

const multi = new B3Propagator({ injectEncoding: B3InjectEncoding.MULTI_HEADER })

export const PROPAGATORS: Readonly<Record<string, TextMapPropagator>> = {
  'the default propagator': new CompositePropagator({
    propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
  }),
  'a baggage-only propagator': new W3CBaggagePropagator(),
  B3: new CompositePropagator({ propagators: [new B3Propagator(), multi] }),
  'a propagator that throws': { inject: boom, extract: boom, fields: boom },
}

export function use(propagator: TextMapPropagator): void {
  propagation.disable()
  propagation.setGlobalPropagator(propagator)
}
