// Shapes that fast-check makes up: what a producer, a broker or a runner may hand over, likely ones among the impossible.
import fc from 'fast-check'
import { SENDER } from '../../conformance/carriers.ts'

/** Any value at all. */
export const anything = fc.anything({
  ...{ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true },
  ...{ withNullPrototype: true, withSparseArray: true, withObjectString: true },
  maxDepth: 3,
})

const text = fc.oneof(
  // Halves of surrogate pairs too. (fast-check's own `unit: 'binary'` has none, and takes a second to be made.)
  fc.array(fc.nat(0xffff)).map((units) => String.fromCharCode(...units)),
  fc.string(),
  fc.nat(3).map((n) => 'x'.repeat(n * 5_000)),
)
const numeric = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(0, -1, 1e15, Number.NaN, Number.MAX_SAFE_INTEGER))
const moment = fc.oneof(fc.integer({ min: 0, max: 4e12 }), numeric)

const HEADERS = [
  ...['traceparent', 'tracestate', 'baggage', 'b3', 'x-b3-traceid', 'task_id', 'task_name', 'task_type', 'task', 'id'],
  ...[
    'retries',
    '_retries',
    'eta',
    'root_id',
    'x-death',
    'x-delay',
    'delay',
    'x-delivery-count',
    'x-first-death-queue',
  ],
  ...['_taskiq_queue_time', 'schedule_id', 'schedule_time', '__proto__', 'constructor', 'toString', 'hasOwnProperty'],
]
const header = fc.oneof(
  fc.constantFrom(SENDER.traceparent, `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`, 'a=b', '=;,', '%', '7', ''),
  ...[text, numeric, anything],
  fc.array(fc.record({ queue: anything, count: anything, reason: anything, time: anything }, { requiredKeys: [] })),
)
const key = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...HEADERS) }, { weight: 1, arbitrary: fc.string() })

/** What stands where a carrier is read. */
export const headers: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 8, arbitrary: fc.dictionary(key, header, { noNullPrototype: false, maxKeys: 8 }) },
  { weight: 1, arbitrary: anything },
)

const property = fc.oneof(text, numeric, anything)

/** An AMQP delivery: of these a client gives the fields and a Buffer, and the producer everything else. */
export const delivery = fc.record({
  fields: fc.record({
    consumerTag: fc.string(),
    deliveryTag: fc.nat(),
    redelivered: fc.boolean(),
    exchange: fc.string(),
    routingKey: fc.string({ maxLength: 255 }), // the protocol has no longer ones
  }),
  properties: fc
    .record(
      {
        ...{ messageId: property, correlationId: property, type: property, timestamp: fc.oneof(moment, anything) },
        ...{ priority: property, expiration: property, appId: property, contentType: property, replyTo: property },
      },
      { requiredKeys: [] },
    )
    .chain((rest) => headers.map((made) => ({ ...rest, headers: made }))),
  content: fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((json) => Buffer.from(json)),
    fc.json().map((json) => Buffer.from(`{"labels":${json},"args":[]}`)),
  ),
})

const metadata = fc.oneof(
  ...[anything, text, fc.json()],
  headers.map((made) => {
    try {
      return JSON.stringify(made)
    } catch {
      return '{'
    }
  }),
)

/** A BullMQ job: its own fields are texts and numbers, of whatever value; its options are what a producer wrote. */
export const job = fc.record({
  id: fc.oneof(
    text,
    fc.constant(undefined),
    fc.nat().map((n) => `repeat:a:${n}`),
    fc.constant('repeat:::'),
  ),
  name: fc.oneof(text, fc.constant('__default__')),
  data: anything,
  queueName: text,
  queueQualifiedName: text,
  timestamp: moment,
  processedOn: fc.oneof(moment, fc.constant(undefined)),
  attemptsMade: fc.oneof(fc.nat(20), numeric),
  attemptsStarted: fc.oneof(fc.nat(20), numeric),
  stalledCounter: fc.oneof(fc.nat(8), numeric),
  repeatJobKey: fc.oneof(fc.constant(undefined), text),
  opts: fc.record(
    {
      ...{ attempts: fc.oneof(fc.nat(10), anything), delay: fc.oneof(moment, anything), priority: anything },
      ...{ backoff: anything, repeat: anything, traceparent: header, task_type: anything, schedule_id: anything },
      telemetry: fc.oneof(fc.record({ metadata, omitContext: anything }, { requiredKeys: [] }), anything),
    },
    { requiredKeys: [] },
  ),
})

/** Options of a send: plain objects as callers write them, half of them frozen through and through. */
export const sendOptions = fc
  .tuple(
    fc.record(
      {
        ...{ headers, messageId: property, type: property, persistent: anything, mandatory: fc.boolean() },
        ...{ expiration: anything, priority: anything, telemetry: anything, jobId: property, attempts: anything },
      },
      { requiredKeys: [] },
    ),
    fc.boolean(),
  )
  .map(([made, isFrozen]) => (isFrozen ? frozen(made) : made))

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const name of Reflect.ownKeys(value)) frozen((value as Record<PropertyKey, unknown>)[name])
  return value
}

/** What runners pass to a tick, and what they might. */
export const tickArguments = fc.oneof(
  fc.array(anything, { maxLength: 3 }),
  fc.tuple(
    fc.record({
      options: fc.oneof(fc.constant({}), fc.record({ timezone: anything })),
      getPattern: fc.func(fc.oneof(fc.constantFrom('* * * * *', '0 0 31 2 *', undefined), anything)),
      getOnce: fc.func(fc.oneof(fc.constant(null), fc.date(), anything)),
    }),
  ),
  fc.tuple(
    fc.record({
      date: fc.date({ noInvalidDate: false }),
      execution: fc.record({ reason: fc.oneof(fc.constantFrom('scheduled', 'invoked'), fc.string()) }),
      task: fc.oneof(anything, fc.record({ timezone: anything, getPattern: fc.func(anything) })),
    }),
  ),
)

/** How a handler ends: with any value, or by throwing any. */
export const ending = fc.record({ threw: fc.boolean(), later: fc.boolean(), value: anything })
export type End = typeof ending extends fc.Arbitrary<infer T> ? T : never

export function endAs({ threw, later, value }: End): unknown {
  if (!later && threw) throw value
  // Within an object, or what has a `then` of its own would be waited for.
  return threw ? Promise.reject(value) : later ? Promise.resolve({ value }) : { value }
}
