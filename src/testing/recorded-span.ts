// A recorded span as a test wants to read it: words instead of enums, numbers instead of pairs, and its relatives.
import { type Attributes, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node'

/** Who is whose parent among the spans of one recorder. */
export class Family {
  readonly members = new Map<string, RecordedSpan>()
  readonly children = new Map<string, RecordedSpan[]>()

  add(span: RecordedSpan): void {
    this.members.set(span.spanId, span)
    if (span.parentSpanId === undefined) return
    const siblings = this.children.get(span.parentSpanId)
    if (siblings === undefined) this.children.set(span.parentSpanId, [span])
    else siblings.push(span)
  }

  clear(): void {
    this.members.clear()
    this.children.clear()
  }
}

const KINDS = ['internal', 'server', 'client', 'producer', 'consumer'] as const
const STATUSES = ['unset', 'ok', 'error'] as const

export class RecordedSpan {
  readonly name: string
  readonly kind: (typeof KINDS)[number]
  readonly traceId: string
  readonly spanId: string
  /** Also where the parent itself is not recorded: then it came with a message. */
  readonly parentSpanId: string | undefined
  readonly attributes: Attributes
  readonly status: (typeof STATUSES)[number]
  readonly statusMessage: string | undefined
  readonly links: readonly { traceId: string; spanId: string; attributes: Attributes }[]
  readonly events: readonly { name: string; attributes: Attributes }[]
  /** In ms since the epoch. */
  readonly startedAt: number
  readonly durationMs: number
  readonly #raw: ReadableSpan
  readonly #family: Family

  constructor(raw: ReadableSpan, family: Family) {
    const { traceId, spanId } = raw.spanContext()
    this.name = raw.name
    this.kind = KINDS[raw.kind] ?? KINDS[SpanKind.INTERNAL]
    this.traceId = traceId
    this.spanId = spanId
    this.parentSpanId = raw.parentSpanContext?.spanId
    this.attributes = raw.attributes
    this.status = STATUSES[raw.status.code] ?? STATUSES[SpanStatusCode.UNSET]
    this.statusMessage = raw.status.message
    this.links = raw.links.map(({ context, attributes = {} }) => ({
      traceId: context.traceId,
      spanId: context.spanId,
      attributes,
    }))
    this.events = raw.events.map(({ name, attributes = {} }) => ({ name, attributes }))
    this.startedAt = raw.startTime[0] * 1e3 + raw.startTime[1] / 1e6
    this.durationMs = raw.duration[0] * 1e3 + raw.duration[1] / 1e6
    this.#raw = raw
    this.#family = family
    family.add(this)
  }

  /** The recorded span above; undefined for a root and where the parent lives elsewhere or has not ended. */
  get parent(): RecordedSpan | undefined {
    return this.parentSpanId === undefined ? undefined : this.#family.members.get(this.parentSpanId)
  }

  /** The recorded spans below, by their start. */
  get children(): readonly RecordedSpan[] {
    return [...(this.#family.children.get(this.spanId) ?? [])].sort((a, b) => a.startedAt - b.startedAt)
  }

  /** The SDK's own span. */
  get raw(): ReadableSpan {
    return this.#raw
  }
}
