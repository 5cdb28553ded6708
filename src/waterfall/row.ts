// One span as one row: what is worth showing of it.
import {
  type Attributes,
  type HrTime,
  type Link,
  type SpanContext,
  type SpanStatus,
  SpanStatusCode,
} from '@opentelemetry/api'
import { plain } from './text.ts'

/** As much of the SDK's `ReadableSpan` as a picture needs. */
export interface WaterfallSpan {
  readonly name: string
  readonly kind: number
  readonly spanContext: () => SpanContext
  readonly parentSpanContext?: SpanContext | undefined
  readonly startTime: HrTime
  readonly endTime: HrTime
  readonly status: SpanStatus
  readonly attributes: Attributes
  readonly links: readonly Link[]
  readonly resource?: { readonly attributes: Readonly<Record<string, unknown>> } | undefined
}

export interface Row {
  readonly name: string
  readonly kind: number
  readonly service: string
  /** The service of the row above it in the tree; a change of service is worth a word. */
  readonly parentService: string | undefined
  readonly parent: Row | undefined
  readonly start: number
  readonly end: number
  /** Time in the queue before the start, in ms. */
  readonly waited: number
  readonly failed: boolean
  readonly message: string
  readonly outcome: string | undefined
  /** Why it was skipped. */
  readonly reason: string | undefined
  readonly attempt: number | undefined
  readonly maxAttempts: number | undefined
  readonly links: readonly string[]
  /** The lines of the tree before its name, and before the lines below it. */
  stem: string
  under: string
}

const MAX_LINKS = 4
/** Reads a span; times are in ms since `origin`. */
export function toRow(
  span: WaterfallSpan,
  parent: Row | undefined,
  origin: HrTime,
  names: ReadonlyMap<string, string>,
): Row {
  const start = sinceMs(origin, span.startTime)
  const service = plain(String(span.resource?.attributes['service.name'] ?? ''))
  const read = attributeReader(span)
  return {
    name: plain(span.name),
    kind: span.kind,
    service,
    parentService: parent?.service,
    parent,
    start,
    end: Math.max(start, sinceMs(origin, span.endTime)),
    waited: numeric(read('wait_ms')) ?? 0,
    failed: span.status.code === SpanStatusCode.ERROR,
    message: failure(span),
    outcome: text(read('outcome')),
    reason: text(read('skip_reason')),
    attempt: numeric(read('attempt')),
    maxAttempts: numeric(read('max_attempts')),
    links: linksOf(span, names),
    stem: '',
    under: '',
  }
}

function failure(span: WaterfallSpan): string {
  const type = text(span.attributes['error.type']) ?? ''
  const message = span.status.message ?? ''
  return plain(type === '' || message === '' ? type + message : `${type}: ${message}`)
}

// One line for each that leads out of this trace. Where a link leads inside of it (a step's needs) is on the same picture.
function linksOf(span: WaterfallSpan, names: ReadonlyMap<string, string>): string[] {
  const { traceId } = span.spanContext()
  const outside = span.links.filter(({ context }) => context.traceId !== traceId)
  const lines = outside
    .slice(0, MAX_LINKS)
    .map(
      ({ context }) =>
        `${plain(names.get(context.spanId) ?? `span ${context.spanId}`)} in trace ${plain(context.traceId)}`,
    )
  const more = outside.length - lines.length
  return more > 0 ? [...lines, `${more} more`] : lines
}

// The prefix of our attributes is an option, and a picture is drawn for spans of several services: any prefix will do.
function attributeReader(span: WaterfallSpan): (name: string) => unknown {
  const marker = Object.keys(span.attributes).find((key) => /^[a-z][a-z0-9_]*\.(outcome|attempt)$/.test(key))
  const prefix = marker?.slice(0, marker.indexOf('.') + 1)
  return (name) => {
    if (prefix === undefined) return undefined
    return span.attributes[prefix + name] ?? span.attributes[`${prefix}step.${name}`]
  }
}

function sinceMs(origin: HrTime, time: HrTime): number {
  return (time[0] - origin[0]) * 1e3 + (time[1] - origin[1]) / 1e6
}

function numeric(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? plain(value) : undefined
}
