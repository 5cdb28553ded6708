// What one process tells another of its spans, lines and numbers: the message, its bounds, and a reader that trusts nothing.
import type { Attributes, HrTime, Link, SpanContext, SpanStatus } from '@opentelemetry/api'
import { type RejectReason, toRejectReason } from './errors.ts'
import { addFaults, fault, guard } from './faults.ts'
import { MARK, readSpanIds, VERSION_1 } from './handover.ts'
import { type Change, readChanges } from './report/changes.ts'

export type { Change }

/** One message. Spans and lines travel as JSON texts, so that their size is known before they are looked into. */
export interface Message {
  readonly [MARK]: typeof VERSION_1
  readonly spans?: readonly string[]
  readonly lines?: readonly string[]
  readonly changes?: readonly Change[]
  /** All gauges of the sender as they stand now; absent where they are told by nobody. */
  readonly gauges?: readonly Change[]
  /** `part reason` and how often since the last message. */
  readonly faults?: readonly (readonly [string, number])[]
  /** Labels over their cap, and how often since the last message. */
  readonly overflows?: readonly (readonly [string, number])[]
  /** What the run's handler threw. */
  readonly threw?: { readonly run: number; readonly type: string; readonly reason?: RejectReason | undefined }
}

/** An ended span, without what the receiver knows by itself. */
export interface ReportedSpan {
  readonly name: string
  readonly kind: number
  readonly context: SpanContext
  readonly parent?: SpanContext | undefined
  readonly startTime: HrTime
  readonly endTime: HrTime
  readonly status: SpanStatus
  readonly attributes: Attributes
  readonly links: Link[]
  readonly events: { name: string; time: HrTime; attributes: Attributes }[]
  readonly scope: { readonly name: string; readonly version?: string | undefined }
  readonly dropped: readonly [attributes: number, events: number, links: number]
}

/** What a message said, checked. */
export interface Report {
  readonly spans: readonly ReportedSpan[]
  /** Log lines, parsed. */
  readonly lines: readonly Readonly<Record<string, unknown>>[]
  readonly changes: readonly Change[]
  readonly gauges: readonly Change[] | undefined
  readonly overflows: readonly (readonly [string, number])[]
  /** One key per sender: whose gauges these are. Undefined where gauges are not taken. */
  readonly from: object | undefined
}

export const MAX_ITEMS = 1_000
export const MAX_SPAN = 131_072
export const MAX_LINE = 65_536
const MAX_PAIRS = 200
const MAX_WORD = 128

/** Whether a message between two processes is one of ours; all others are somebody else's business. */
export function isReport(message: unknown): message is Message {
  return typeof message === 'object' && message !== null && (message as Partial<Message>)[MARK] === VERSION_1
}

/** Reads a message. What is wrong with a part of it is counted and left out; the rest is taken. */
export function readReport(message: Message, from: object | undefined): Report {
  for (const [kind, count] of pairs(message.faults)) addFaults(kind, count)
  return {
    spans: texts(message.spans, MAX_SPAN).flatMap((text) => some(readSpan(parsed(text)))),
    lines: texts(message.lines, MAX_LINE).flatMap((text) => some(parsed(text))),
    changes: readChanges(message.changes, wrong),
    gauges: message.gauges === undefined || from === undefined ? undefined : readChanges(message.gauges, wrong),
    overflows: pairs(message.overflows),
    from,
  }
}

/** What the message says of a throw. */
export function readThrew(message: Message): Message['threw'] {
  const { run, type, reason } = message.threw ?? {}
  if (typeof run !== 'number' || typeof type !== 'string') return undefined
  const told = { run, type: /^[A-Za-z_$][\w$.]{0,63}$/.test(type) ? type : 'Error' }
  return reason === undefined ? told : { ...told, reason: toRejectReason(reason) }
}

function some<T>(read: T | undefined): T[] {
  return read === undefined ? wrong() : [read]
}

function wrong(): never[] {
  fault('processes', 'malformed')
  return []
}

function texts(given: unknown, limit: number): string[] {
  if (given === undefined) return []
  if (!Array.isArray(given)) return wrong()
  if (given.length > MAX_ITEMS) fault('processes', 'oversized')
  return given
    .slice(0, MAX_ITEMS)
    .flatMap((text) => (typeof text === 'string' && text.length <= limit ? text : wrong()))
}

function parsed(text: string): Record<string, unknown> | undefined {
  const value = guard('processes', 'parse', () => JSON.parse(text) as unknown)
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

function pairs(given: unknown): [string, number][] {
  if (given === undefined) return []
  if (!Array.isArray(given)) return wrong()
  return given.slice(0, MAX_PAIRS).flatMap((pair: unknown): [string, number][] => {
    const [word, count] = Array.isArray(pair) ? pair : []
    const ok = typeof word === 'string' && word.length <= MAX_WORD && Number.isSafeInteger(count) && count > 0
    return ok ? [[word, count as number]] : wrong()
  })
}

function readSpan(given: Record<string, unknown> | undefined): ReportedSpan | undefined {
  return guard('processes', 'span', () => {
    const { name, kind, startTime, endTime, status, attributes, links, events, scope, dropped } = given ?? {}
    const context = readSpanIds(given?.context)
    if (typeof name !== 'string' || context === undefined || !isTime(startTime) || !isTime(endTime)) return undefined
    const { code, message } = (status ?? {}) as Partial<SpanStatus>
    const { name: scopeName, version } = (scope ?? {}) as { name?: unknown; version?: unknown }
    const [a, e, l] = Array.isArray(dropped) ? dropped : []
    return {
      name,
      kind: oneOf(kind, 4),
      context: { ...context, isRemote: false },
      parent: readSpanIds(given?.parent),
      startTime,
      endTime,
      status: { code: oneOf(code, 2), ...(typeof message === 'string' && { message }) },
      attributes: readAttributes(attributes),
      links: list(links).flatMap((link) => {
        const linked = readSpanIds(link.context)
        return linked === undefined ? [] : { context: linked, attributes: readAttributes(link.attributes) }
      }),
      events: list(events).flatMap(({ name: event, time, attributes: more }) =>
        typeof event === 'string' && isTime(time) ? { name: event, time, attributes: readAttributes(more) } : [],
      ),
      scope: {
        name: typeof scopeName === 'string' ? scopeName : '',
        ...(typeof version === 'string' && { version }),
      },
      dropped: [count(a), count(e), count(l)],
    }
  })
}

function readAttributes(given: unknown): Attributes {
  const read: Attributes = {}
  if (typeof given !== 'object' || given === null) return read
  for (const [key, value] of Object.entries(given)) {
    if (isPlain(value)) read[key] = value
    else if (Array.isArray(value)) read[key] = value.filter(isPlain) as string[]
  }
  return read
}

function isPlain(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)
}

function isTime(value: unknown): value is HrTime {
  return Array.isArray(value) && value.length === 2 && value.every((part) => Number.isSafeInteger(part) && part >= 0)
}

function list(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'object' && item !== null) : []
}

function oneOf(value: unknown, max: number): number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max ? (value as number) : 0
}

function count(value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : 0
}
