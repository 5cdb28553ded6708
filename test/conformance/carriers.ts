// Carriers that no sender should write, and that must cost a task nothing but its parent.

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'

/** A good one. */
export const SENDER = { traceId: TRACE, spanId: SPAN, traceparent: `00-${TRACE}-${SPAN}-01` }

interface HostileCarrier {
  readonly title: string
  readonly headers: Readonly<Record<string, unknown>> | undefined
  /** Whether it is a fault: having no carrier is none. */
  readonly counted: boolean
}

const of = (title: string, headers: Record<string, unknown> | undefined, counted = true): HostileCarrier => ({
  title,
  headers,
  counted,
})

export const HOSTILE: readonly HostileCarrier[] = [
  of('no carrier', undefined, false),
  of('an empty carrier', {}, false),
  of('a carrier of foreign keys', { colour: 'red', 'x-request': '7' }, false),
  of('the key in another case', { Traceparent: SENDER.traceparent }, false),
  of('the keys of an object prototype', JSON.parse(`{"__proto__":{"traceparent":"${SENDER.traceparent}"}}`), false),
  of('an empty traceparent', { traceparent: '' }, false),
  of('null as traceparent', { traceparent: null }, false),
  of('a traceparent that is a word', { traceparent: 'yes' }),
  of('a number as traceparent', { traceparent: 42 }),
  of('a boolean as traceparent', { traceparent: true }),
  of('a list as traceparent', { traceparent: [SENDER.traceparent, SENDER.traceparent] }),
  of('an object as traceparent', { traceparent: { toString: 'no', traceparent: SENDER.traceparent } }),
  of('a trace id of zeros', { traceparent: `00-${'0'.repeat(32)}-${SPAN}-01` }),
  of('a span id of zeros', { traceparent: `00-${TRACE}-${'0'.repeat(16)}-01` }),
  of('the forbidden version', { traceparent: `ff-${TRACE}-${SPAN}-01` }),
  of('a trace id that is too short', { traceparent: `00-${TRACE.slice(1)}-${SPAN}-01` }),
  of('a trace id in capitals', { traceparent: `00-${TRACE.toUpperCase()}-${SPAN}-01` }),
  of('a trace id that is not hexadecimal', { traceparent: `00-${'g'.repeat(32)}-${SPAN}-01` }),
  of('junk after a traceparent', { traceparent: `${SENDER.traceparent}-junk` }),
  of('a line break in a traceparent', { traceparent: `00-${TRACE}\n-${SPAN}-01` }),
  of('a traceparent of 9,000 characters', { traceparent: SENDER.traceparent.padEnd(9_000, '-') }),
  of('baggage without a key', { baggage: '=;=;,,%%%' }),
  of('a tracestate without a traceparent', { tracestate: 'a=1' }, false),
  of('a list as baggage', { baggage: ['a=1'] }),
]

/** Too big as a whole, or in one part: a broker may refuse the part or the whole, but it counts that. */
export const OVERSIZED = [
  { title: 'a tracestate of 9,000 characters', tracestate: `a=${'b'.repeat(9_000)}` },
  { title: 'baggage of 9,000 characters', baggage: `a=${'b'.repeat(9_000)}` },
]
