// Everything that may stand where a carrier should, by broker; the conformance suite's own are among them.
import { amqpTraits } from '../../conformance/amqp-channel.ts'
import { bullmqTraits } from '../../conformance/bullmq-channel.ts'
import { HOSTILE, OVERSIZED, SENDER } from '../../conformance/carriers.ts'
import type { Message } from '../bench/lane.ts'
import type { Place } from '../fault.ts'

export type Carried = Pick<Message, 'carrier' | 'raw'> & { readonly title: string }

const { traceparent, traceId, spanId } = SENDER
const parent = (text: string): Record<string, unknown> => ({ traceparent: text })
const deep = (depth: number): unknown => (depth === 0 ? 'end' : { a: deep(depth - 1) })

const TRACEPARENTS: [string, Record<string, unknown>][] = [
  ['a traceparent of three parts', parent(`00-${traceId}-${spanId}`)],
  ['a traceparent of five parts', parent(`${traceparent}-01`)],
  ['a traceparent without its version', parent(`${traceId}-${spanId}-01`)],
  ['a version of one digit', parent(`0-${traceId}-${spanId}-01`)],
  ['a version of a later standard', parent(`cc-${traceId}-${spanId}-01-what-the-future-will-be-like`)],
  ['a span id that is too long', parent(`00-${traceId}-${spanId}0-01`)],
  ['flags that are no number', parent(`00-${traceId}-${spanId}-zz`)],
  ['all flags at once', parent(`00-${traceId}-${spanId}-ff`)],
  ['spaces around a traceparent', parent(`  ${traceparent}  `)],
  ['a zero byte in a traceparent', parent(`00-${traceId}-${spanId}\u0000-01`)],
  ['control characters as traceparent', parent('\u0001\u0007\u001b[31m\u007f')],
  ['half a surrogate pair as traceparent', parent('\ud800')],
  ['two traceparents in one', parent(`${traceparent},${traceparent}`)],
  ['an infinite number as traceparent', parent('Infinity')],
]

const BESIDE: [string, Record<string, unknown>][] = [
  ['an object as tracestate', { traceparent, tracestate: { a: 1 } }],
  ['a number as baggage', { traceparent, baggage: 7 }],
  ['broken escapes in baggage', { traceparent, baggage: 'a=%E0%A4%A,b=%' }],
  ['control characters in baggage', { traceparent, baggage: 'a=\u0000\r\nb=1' }],
  ['baggage of 2,000 entries', { traceparent, baggage: Array.from({ length: 2_000 }, (_, n) => `k${n}=v`).join() }],
  ['prototype keys', JSON.parse('{"__proto__":{"a":1},"constructor":"x","hasOwnProperty":"y","toString":"z"}')],
  ['prototype keys as baggage', { traceparent, baggage: '__proto__=1,constructor=2,toString=3' }],
  ['keys of B3 that are wrong', { b3: 'x-y-z', 'x-b3-traceid': 'no', 'x-b3-spanid': '', 'x-b3-sampled': 'maybe' }],
  ['a B3 trace id of zeros', { b3: `${'0'.repeat(32)}-${'0'.repeat(16)}-1` }],
  ['a nesting of 100', { traceparent: deep(100), baggage: deep(100) }],
  ['1,000 keys', Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`key-${n}`, 'v']))],
]

const tracestate = (entries: number): string => Array.from({ length: entries }, (_, n) => `k${n}=v`).join()

const MEGABYTE = 'x'.repeat(1_000_000)

const OF_BULLMQ: Carried[] = [
  { title: 'a tracestate of 10,000 entries', carrier: { traceparent, tracestate: tracestate(10_000) } },
  { title: 'a traceparent of 1 MB', carrier: { traceparent: MEGABYTE } },
  { title: 'metadata of 1 MB that is no JSON', raw: MEGABYTE },
  { title: 'a nesting of 5,000', raw: '{"a":'.repeat(5_000) + 1 + '}'.repeat(5_000) },
  { title: 'metadata that is one bracket', raw: '{' },
  { title: 'metadata that is one space', raw: ' ' },
  { title: 'metadata that is empty', raw: '' },
  { title: 'metadata that is a zero byte', raw: '\u0000' },
  { title: 'metadata that is false', raw: false },
  { title: 'metadata that is a list', raw: [traceparent] },
  { title: 'metadata with a byte order mark', raw: `\ufeff{"traceparent":"${traceparent}"}` },
  { title: 'metadata that was a Buffer', raw: Buffer.from(traceparent).toJSON() },
]

// amqplib itself sends no more than 64 KiB of headers.
const OF_RABBITMQ: Carried[] = [
  { title: 'a tracestate of 6,000 entries', carrier: { traceparent, tracestate: tracestate(6_000) } },
  { title: '60 KB of baggage', carrier: { baggage: `a=${MEGABYTE.slice(0, 60_000)}` } },
  { title: 'bytes for everything', carrier: bytes('traceparent', 'tracestate', 'baggage', 'b3') },
  { title: 'tables for everything', carrier: { traceparent: { a: 1 }, tracestate: [1, 2], baggage: { b: [{}] } } },
  { title: 'a long number as traceparent', carrier: { traceparent: { '!': 'int64', value: 1 } } },
  { title: 'a double as traceparent', carrier: { traceparent: { '!': 'double', value: 1e300 } } },
]

function bytes(...keys: string[]): Record<string, unknown> {
  return Object.fromEntries(keys.map((key) => [key, Buffer.from([0, 255, 128])]))
}

/** At least 40 for each broker. */
export function carriersOf(place: Place): readonly Carried[] {
  const own = place === 'BullMQ' ? [...bullmqTraits.hostile, ...OF_BULLMQ] : [...amqpTraits.hostile, ...OF_RABBITMQ]
  return [
    ...HOSTILE.map(({ title, headers }) => ({ title, carrier: headers })),
    ...OVERSIZED.map(({ title, ...headers }) => ({ title, carrier: { traceparent, ...headers } })),
    ...[...TRACEPARENTS, ...BESIDE].map(([title, carrier]) => ({ title, carrier })),
    ...own,
  ]
}
