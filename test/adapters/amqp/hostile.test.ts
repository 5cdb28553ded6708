// Hostile input: whatever a message says of itself, its handler and the broker get what plain amqplib gives them.
// What may stand in the place of a carrier is tried in test/faults.
import type { ConsumeMessage } from 'amqplib'
import { amqp } from 'taskspan/amqp'
import { describe, expect, it } from 'vitest'
import { latch, makeQueue, openChannel, takeAll, tally } from '../../support/amqp.ts'
import { record } from '../../support/record.ts'

const deep = (depth: number): unknown => (depth === 0 ? 'end' : { a: deep(depth - 1) })

const HEADERS: [string, Record<string, unknown>][] = [
  ['bytes for names and ids', { task_name: Buffer.from('x'), task_id: Buffer.from('y'), task: 1, id: {} }],
  ['a name of 50 KB', { task_name: 'n'.repeat(50_000), task_id: 'i'.repeat(5_000) }],
  [
    'odd counts',
    { _retries: { '!': 'decimal', value: { places: 2, digits: 314 } }, retries: 1e15, 'x-death': { a: 1 } },
  ],
  ['an odd x-death', { 'x-death': [null, 7, 'text', { queue: Buffer.from('q'), count: 'x', reason: 'rejected' }] }],
  ['an odd schedule', { schedule_id: 7, schedule_time: 'yesterday', task_type: ['cron'] }],
  ['prototype keys', JSON.parse('{"__proto__": {"task_name": "polluted"}, "constructor": 1, "hasOwnProperty": 2}')],
  ['nesting', { deep: deep(200) }],
  ['a TaskIQ time without a TaskIQ body', { _taskiq_queue_time: 1 }],
]

const BODIES: [string, Buffer][] = [
  ['empty', Buffer.alloc(0)],
  ['no JSON', Buffer.from([0, 255, 128])],
  ['JSON of another shape', Buffer.from('{"labels": 7}')],
  ['null', Buffer.from('null')],
  ['a time that is none', Buffer.from('{"labels": {"_taskiq_queue_time": "soon"}}')],
  ['1 MB', Buffer.from(`{"labels": {"_taskiq_queue_time": 1}, "args": ["${'x'.repeat(1_000_000)}"]}`)],
]

describe('a message with', () => {
  it.each(HEADERS)('%s is handled as plain amqplib handles it', async (_, headers) => {
    const { spans, t } = await record()
    const channel = await openChannel()
    const queues = [await makeQueue(channel), await makeQueue(channel)] as const
    const plain = latch<ConsumeMessage>()
    const ours = latch<ConsumeMessage>()
    await channel.consume(queues[0], (message) => message && plain.open(message), { noAck: true })
    const consumer = await amqp(t).consume(channel, queues[1], (message) => ours.open(message))
    for (const queue of queues) channel.sendToQueue(queue, Buffer.from('{}'), { headers })

    const [expected, got] = [await plain.promise, await ours.promise]
    expect(got.properties).toEqual(expected.properties)
    expect(got.content).toEqual(expected.content)
    await consumer.close()
    const [span] = spans.spans
    expect(spans.spans).toHaveLength(1)
    expect(span?.attributes['taskiq.outcome']).toBe('success')
    expect(span?.name.length).toBeLessThanOrEqual('taskiq.'.length + 128)
    expect(span?.name).not.toContain('polluted')
    expect(JSON.stringify(span?.attributes).length).toBeLessThan(4_096)
    await channel.close()
    expect(await takeAll(queues[1])).toEqual([])
  })

  it.each(BODIES)('a TaskIQ header and a body that is %s runs, without a wait', async (_, body) => {
    const { spans, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const got = latch<ConsumeMessage>()
    const consumer = await amqp(t).consume(channel, queue, (message) => got.open(message))
    const headers = { task_name: 'files:process', _taskiq_queue_time: 1_795_235_712 }
    channel.sendToQueue(queue, body, { headers })
    expect((await got.promise).content.equals(body)).toBe(true)
    await consumer.close()
    expect(spans.one('taskiq.files:process').attributes).not.toHaveProperty('taskiq.wait_ms')
  })

  it.each([{}, { content: Buffer.alloc(0) }, { fields: null, properties: null }])(
    '%j, made by a test, is handled and settled',
    async (made) => {
      const { t } = await record()
      const settled: unknown[] = []
      const channel = { ack: (message: unknown) => settled.push(message), nack() {} }
      const handled: unknown[] = []
      const wrapped = amqp(t).wrap((message: ConsumeMessage) => handled.push(message), { queue: 'work', channel })
      await wrapped(made as never)
      expect([handled, settled]).toEqual([[made], [made]])
    },
  )

  it('a megabyte of headers, which amqplib can receive but not send, runs with a new root', async () => {
    const { spans, t, faults } = await record()
    const handled: unknown[] = []
    const wrapped = amqp(t).wrap((message: ConsumeMessage) => handled.push(message), { queue: 'work' })
    const headers = { traceparent: '0'.repeat(1_000_000), large: 'x'.repeat(1_000_000) }
    const message = {
      fields: { consumerTag: 'c', deliveryTag: 1, redelivered: false, exchange: '', routingKey: 'work' },
      properties: { headers },
      content: Buffer.alloc(0),
    } as unknown as ConsumeMessage
    await wrapped(message)
    expect(handled).toEqual([message])
    expect(spans.one('taskiq.work').parentSpanId).toBeUndefined()
    expect(await faults()).toBe(1)
  })

  it.each([
    ['bytes for a trace', { traceparent: Buffer.from('x') }, { part: 'propagation', reason: 'wrong_type' }],
    ['a carrier over 8 KiB', { baggage: `a=${'x'.repeat(9_000)}` }, { part: 'propagation', reason: 'oversized' }],
    ['bytes for a name', { task_name: Buffer.from('x') }, { part: 'rabbitmq', reason: 'header' }],
    ['a TaskIQ time and another body', { _taskiq_queue_time: 1 }, { part: 'rabbitmq', reason: 'body' }],
  ])('%s counts one fault', async (_, headers, labels) => {
    const { spans, metrics, t } = await record()
    const before = (await metrics.value('taskiq_telemetry_errors_total', labels)) ?? 0
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const consumer = await amqp(t).consume(channel, queue, () => {})
    channel.sendToQueue(queue, Buffer.from('x'), { headers })
    await spans.waitFor(`taskiq.${queue}`)
    await consumer.close()
    expect(((await metrics.value('taskiq_telemetry_errors_total', labels)) ?? 0) - before).toBe(1)
  })
})

describe('telemetry that fails below us', () => {
  it('loses, repeats and delays nothing: every message is handled once and acked', async () => {
    const { spans, t } = await record()
    const broken = Object.assign(
      async (_: unknown, next: () => Promise<unknown>) => {
        try {
          return await next()
        } finally {
          spans.spans.at(-1) // a look at what is there
        }
      },
      {
        notice() {
          throw new Error('notice')
        },
      },
    )
    const channel = await openChannel()
    const admin = await openChannel()
    const queue = await makeQueue(admin)
    const seen: string[] = []
    const all = tally(50)
    const consumer = await amqp(t, broken).consume(channel, queue, ({ content }) => {
      seen.push(content.toString())
      all.hit()
    })
    for (let n = 0; n < 50; n++) admin.sendToQueue(queue, Buffer.from(String(n)))
    await all.reached
    await consumer.close()
    await channel.close()
    expect(seen).toEqual(Array.from({ length: 50 }, (_, n) => String(n)))
    expect(await takeAll(queue)).toEqual([])
  })
})
