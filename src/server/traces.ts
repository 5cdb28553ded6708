// /debug/traces: the spans that telemetry has ended lately, in the shape of OTLP's JSON.
import type { Attributes, AttributeValue, HrTime } from '@opentelemetry/api'
import type { EndedSpan } from '../middleware/recent.ts'
import { Refusal, type Writer } from './answer.ts'
import { type Desk, invalid, type Route, wholeNumber } from './route.ts'

const MAX_TRACES = 1_000

export function traces({ sources, writer }: Desk): Route {
  return {
    isPrefix: true,
    answer({ query, rest }) {
      const all = sources.telemetry.recent.spans()
      const spans = rest === '' ? latest(all, wholeNumber(query, 'limit', 50, MAX_TRACES)) : ofTrace(all, rest)
      return writer.json(toOtlp(spans, writer))
    },
  }
}

/** The spans of the traces that ended last. */
function latest(spans: readonly EndedSpan[], limit: number): EndedSpan[] {
  const ids = new Set<string>()
  for (let at = spans.length - 1; at >= 0 && ids.size < limit; at--) ids.add(traceIdOf(spans[at] as EndedSpan))
  return spans.filter((span) => ids.has(traceIdOf(span)))
}

function ofTrace(spans: readonly EndedSpan[], id: string): EndedSpan[] {
  if (!/^[0-9a-f]{32}$/.test(id)) throw invalid('A trace id has 32 digits of lower-case hexadecimal.')
  const found = spans.filter((span) => traceIdOf(span) === id)
  if (found.length > 0) return found
  const help = 'It may have been pushed out by later ones, not sampled, or not made by telemetry() of this process.'
  throw new Refusal(404, 'trace_unknown', 'No span of this trace is kept.', help, { trace_id: id })
}

function traceIdOf(span: EndedSpan): string {
  return span.spanContext().traceId
}

/** @see https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
function toOtlp(spans: readonly EndedSpan[], writer: Writer): object {
  const resources = new Map<unknown, { attributes: Attributes; scopes: Map<string, EndedSpan[]> }>()
  for (const span of spans) {
    let entry = resources.get(span.resource)
    if (entry === undefined) {
      entry = { attributes: span.resource?.attributes ?? {}, scopes: new Map() }
      resources.set(span.resource, entry)
    }
    const { name = '', version = '' } = span.instrumentationScope ?? {}
    const key = JSON.stringify({ name, version })
    const members = entry.scopes.get(key)
    if (members === undefined) entry.scopes.set(key, [span])
    else members.push(span)
  }
  const list = (attributes: Attributes | undefined) => toList(attributes, writer)
  return {
    resourceSpans: [...resources.values()].map(({ attributes, scopes }) => ({
      resource: { attributes: list(attributes) },
      scopeSpans: [...scopes].map(([scope, members]) => ({
        scope: JSON.parse(scope) as object,
        spans: members.map((span) => toSpan(span, list)),
      })),
    })),
  }
}

function toSpan(span: EndedSpan, list: (attributes: Attributes | undefined) => object[]): object {
  const { traceId, spanId } = span.spanContext()
  return {
    ...{ traceId, spanId, parentSpanId: span.parentSpanContext?.spanId ?? '' },
    ...{ name: span.name, kind: span.kind + 1 },
    ...{ startTimeUnixNano: nanos(span.startTime), endTimeUnixNano: nanos(span.endTime) },
    attributes: list(span.attributes),
    events: span.events.map(({ name, time, attributes }) => ({
      ...{ name, timeUnixNano: nanos(time), attributes: list(attributes) },
    })),
    links: span.links.map(({ context, attributes }) => ({
      ...{ traceId: context.traceId, spanId: context.spanId, attributes: list(attributes) },
    })),
    status: { code: span.status.code, ...(span.status.message !== undefined && { message: span.status.message }) },
  }
}

function toList(attributes: Attributes = {}, writer: Writer): object[] {
  return Object.entries(attributes).map(([key, value]) => ({
    key,
    value: writer.isSecret(key) ? { stringValue: '[REDACTED]' } : toValue(value),
  }))
}

function toValue(value: AttributeValue | undefined): object {
  if (Array.isArray(value)) return { arrayValue: { values: value.map((item) => toValue(item as AttributeValue)) } }
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value === 'number') return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
  return { stringValue: String(value ?? '') }
}

function nanos([seconds, nanoseconds]: HrTime): string {
  return String(BigInt(seconds) * 1_000_000_000n + BigInt(Math.round(nanoseconds)))
}
