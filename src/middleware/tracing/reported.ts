// Spans that another process has ended, handed to the processors of this one's SDK under its own resource.
import type { Attributes, HrTime } from '@opentelemetry/api'
import { fault, guard } from '../../kernel/faults.ts'
import type { ReportedSpan } from '../../kernel/report.ts'
import { registeredProvider } from '../../kernel/tracer.ts'

// The SDK has no public way to hand on a span with the ids that it has; what it keeps under these names is what its own
// spans are handed to. Where it has them no more, such spans are left out and counted.
interface Provider {
  readonly _activeSpanProcessor?: { onEnd?: (span: object) => void }
  readonly _resource?: { readonly attributes: Attributes }
}

/** Takes spans as if they had ended here. */
export function takeSpans(spans: readonly ReportedSpan[]): void {
  if (spans.length === 0) return
  const to = receiver()
  if (to === undefined) return fault('tracing', 'reported')
  for (const span of spans) guard('tracing', 'reported', () => to.take(readable(span, to.resource)))
}

function receiver(): { take: (span: object) => void; resource: object } | undefined {
  const { _activeSpanProcessor: processor, _resource: resource } = (registeredProvider() ?? {}) as Provider
  if (typeof processor?.onEnd !== 'function' || resource === undefined) return undefined
  return { take: (span) => processor.onEnd?.(span), resource }
}

/** As the SDK's `ReadableSpan`. */
function readable(span: ReportedSpan, resource: object): object {
  const { name, kind, context, parent, startTime, endTime, status, attributes, links, events, scope, dropped } = span
  return {
    ...{ name, kind, startTime, endTime, status, attributes, links, events, resource },
    spanContext: () => context,
    ...(parent !== undefined && { parentSpanContext: parent }),
    duration: between(startTime, endTime),
    ended: true,
    instrumentationScope: scope,
    droppedAttributesCount: dropped[0],
    droppedEventsCount: dropped[1],
    droppedLinksCount: dropped[2],
  }
}

function between([fromS, fromNs]: HrTime, [toS, toNs]: HrTime): HrTime {
  const ns = toNs - fromNs
  const difference: HrTime = ns < 0 ? [toS - fromS - 1, ns + 1e9] : [toS - fromS, ns]
  return difference[0] < 0 ? [0, 0] : difference
}
