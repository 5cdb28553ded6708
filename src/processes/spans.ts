// Records the spans of a child process that has no SDK of its own, and writes each as a text for its parent.
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace-node'
import { fault, guard } from '../kernel/faults.ts'
import type { ReportedSpan } from '../kernel/report.ts'
import { registeredProvider } from '../kernel/tracer.ts'
import { load } from '../sdk/packages.ts'
import { Problems } from '../sdk/problems.ts'
import { propagator } from '../sdk/propagators.ts'

type SdkPackage = typeof import('@opentelemetry/sdk-trace-node')

/** The provider made here. */
let own: object | undefined

/**
 * Registers an SDK that hands ended spans to `take`. Its sampler follows the parent's decision. Where one is registered,
 * it goes on to export by itself.
 */
export function recordSpans(take: (text: string) => void): void {
  if (registeredProvider() !== undefined) return
  try {
    const sdk = load<SdkPackage>('@opentelemetry/sdk-trace-node')
    const onEnd = (span: ReadableSpan): void =>
      void guard('processes', 'span', () => take(JSON.stringify(toData(span))))
    const processor: SpanProcessor = { onStart() {}, onEnd, forceFlush: async () => {}, shutdown: async () => {} }
    const provider = new sdk.NodeTracerProvider({ spanProcessors: [processor] })
    own = provider
    const chosen = propagator(new Problems())
    provider.register(chosen === undefined ? {} : { propagator: chosen })
  } catch (error) {
    fault('processes', 'sdk', error)
  }
}

/** A provider of the user's own, which exports by itself, may hold spans back for seconds; BullMQ ends a child without asking it. */
export function flushOwn(): void {
  const theirs = registeredProvider() as { forceFlush?: () => Promise<void> } | undefined
  if (theirs === own) return
  guard('processes', 'flush', () =>
    theirs?.forceFlush?.().catch((error: unknown) => fault('processes', 'flush', error)),
  )
}

function toData(span: ReadableSpan): ReportedSpan {
  const { name, kind, parentSpanContext, startTime, endTime, status, attributes, links, events } = span
  const { instrumentationScope, droppedAttributesCount, droppedEventsCount, droppedLinksCount } = span
  return {
    ...{ name, kind, startTime, endTime, status, attributes, links },
    context: span.spanContext(),
    parent: parentSpanContext,
    events: events.map((event) => ({ name: event.name, time: event.time, attributes: event.attributes ?? {} })),
    scope: instrumentationScope,
    dropped: [droppedAttributesCount, droppedEventsCount, droppedLinksCount],
  }
}
