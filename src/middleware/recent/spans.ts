// Ended spans as the SDK keeps them, and how much memory one holds.
import type { Attributes, HrTime, Link, SpanContext, SpanStatus } from '@opentelemetry/api'

/** As much of the SDK's `ReadableSpan` as is read here. */
export interface EndedSpan {
  readonly name: string
  readonly kind: number
  readonly spanContext: () => SpanContext
  readonly parentSpanContext?: SpanContext | undefined
  readonly startTime: HrTime
  readonly endTime: HrTime
  readonly status: SpanStatus
  readonly attributes: Attributes
  readonly links: readonly Link[]
  readonly events: readonly {
    readonly name: string
    readonly time: HrTime
    readonly attributes?: Attributes | undefined
  }[]
  readonly resource?: { readonly attributes: Attributes } | undefined
  readonly instrumentationScope?: { readonly name: string; readonly version?: string | undefined } | undefined
}

/** The span as data; undefined when it is not recorded, or when whoever made it is not OpenTelemetry's SDK. */
export function endedSpan(span: object | undefined): EndedSpan | undefined {
  const found = span as Partial<EndedSpan> | undefined
  return Array.isArray(found?.endTime) && found.attributes !== undefined ? (found as EndedSpan) : undefined
}

/** About how many bytes it holds. */
export function weigh({ name, attributes, events, links }: EndedSpan): number {
  let bytes = 500 + name.length + ofAttributes(attributes)
  for (const event of events) bytes += 100 + event.name.length + ofAttributes(event.attributes)
  return bytes + links.length * 200
}

function ofAttributes(attributes: Attributes | undefined): number {
  let bytes = 0
  for (const key in attributes) {
    const value = attributes[key]
    bytes += 50 + key.length
    if (typeof value === 'string') bytes += value.length * 2
    else if (Array.isArray(value))
      for (const item of value) bytes += 16 + (typeof item === 'string' ? item.length * 2 : 0)
  }
  return bytes
}
