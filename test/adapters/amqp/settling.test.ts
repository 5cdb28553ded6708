// Settling: whatever the handler does, the broker ends up where plain amqplib, written by hand, would leave it.
import { setImmediate as turn } from 'node:timers/promises'
import type { Channel, ConsumeMessage, Message } from 'amqplib'
import { reject } from 'taskspan'
import { amqp, type ConsumeOptions } from 'taskspan/amqp'
import { describe, expect, it } from 'vitest'
import { latch, makeQueueWithDeadLetters, openChannel, takeAll, tally, unhandled } from '../../support/amqp.ts'
import { record } from '../../support/record.ts'

type Handler = (message: ConsumeMessage, channel: Channel) => unknown

/** What both sides did with the same messages. */
interface Fate {
  /** Each delivery that the handler saw. */
  handled: { body: string; redelivered: boolean }[]
  /** What was still in the queue after the channel had closed. */
  left: string[]
  dead: { body: string; reason: unknown; count: unknown }[]
  /** The code with which the broker closed the channel. */
  closedWith: number | undefined
  unhandled: unknown[]
}

interface Run {
  bodies: string[]
  deliveries: number
  queue?: Parameters<typeof makeQueueWithDeadLetters>[1]
  start: (channel: Channel, queue: string, handler: (message: ConsumeMessage) => unknown) => Promise<unknown>
  handler: Handler
}

async function fate({ bodies, deliveries, queue: options, start, handler }: Run): Promise<Fate> {
  const admin = await openChannel()
  const { queue, deadLetters } = await makeQueueWithDeadLetters(admin, options)
  const channel = await openChannel()
  const handled: Fate['handled'] = []
  const seen = tally(deliveries)
  const running: Promise<void>[] = []
  let closedWith: number | undefined
  const rejections = await unhandled(async () => {
    await channel.prefetch(1) // one after the other, so that both sides see the same order
    await start(channel, queue, async (message) => {
      const { redelivered } = message.fields
      handled.push({ body: message.content.toString(), redelivered })
      const ended = latch()
      running.push(ended.promise)
      seen.hit()
      try {
        return await handler(message, channel)
      } finally {
        ended.open()
      }
    })
    for (const body of bodies) admin.sendToQueue(queue, Buffer.from(body))
    await seen.reached
    await Promise.all(running)
    await turn() // whatever settles after the handler has done so
    await channel.checkQueue(queue).catch((error: { code: number }) => {
      closedWith = error.code
    })
    if (closedWith === undefined) await channel.close()
  })
  const left = (await takeAll(queue)).map(({ content }) => content.toString())
  const dead = (await takeAll(deadLetters)).map(({ content, properties }) => {
    const [death] = properties.headers?.['x-death'] ?? []
    return { body: content.toString(), reason: death?.reason, count: death?.count }
  })
  return { handled, left, dead, closedWith, unhandled: rejections }
}

/** Runs the same messages through plain amqplib and through us. */
async function compared(
  run: Omit<Run, 'start'>,
  plain: (channel: Channel, handler: (message: ConsumeMessage) => unknown) => (message: ConsumeMessage) => unknown,
  options: ConsumeOptions = {},
): Promise<{ plain: Fate; ours: Fate; recorded: Awaited<ReturnType<typeof record>> }> {
  const recorded = await record()
  const { noAck } = options
  const byHand = await fate({
    ...run,
    start: (channel, queue, handler) => {
      const onMessage = plain(channel, handler)
      return channel.consume(queue, (message) => void onMessage(message as ConsumeMessage), noAck ? { noAck } : {})
    },
  })
  const ours = await fate({
    ...run,
    start: (channel, queue, handler) => amqp(recorded.t).consume(channel, queue, handler, options),
  })
  return { plain: byHand, ours, recorded }
}

const boom = new Error('boom')
const fails = async (): Promise<never> => {
  throw boom
}

/** What people write by hand around a handler. */
const byHand =
  (requeue: (message: ConsumeMessage, error: unknown) => boolean = () => false) =>
  (channel: Channel, handler: (message: ConsumeMessage) => unknown) =>
  async (message: ConsumeMessage): Promise<void> => {
    try {
      await handler(message)
      channel.ack(message)
    } catch (error) {
      channel.nack(message, false, requeue(message, error))
    }
  }

const alone = (_: Channel, handler: (message: ConsumeMessage) => unknown) => handler

describe('settling, beside plain amqplib', () => {
  it('acks what returned', async () => {
    const run = { bodies: ['1', '2'], deliveries: 2, handler: async () => 'done' }
    const { plain, ours, recorded } = await compared(run, byHand())
    expect(ours).toEqual(plain)
    expect(ours).toMatchObject({ left: [], dead: [], closedWith: undefined, unhandled: [] })
    expect(await recorded.metrics.value('taskiq_tasks_total', { outcome: 'success' })).toBe(2)
    expect(await recorded.metrics.value('taskiq_messages_dead_lettered_total')).toBeUndefined()
  })

  it('nacks what threw without requeue, which dead-letters it; the error line says so', async () => {
    const { plain, ours, recorded } = await compared({ bodies: ['1'], deliveries: 1, handler: fails }, byHand())
    expect(ours).toEqual(plain)
    expect(ours.dead).toEqual([{ body: '1', reason: 'rejected', count: 1 }])
    expect(ours.left).toEqual([])
    const { spans, metrics, logs } = recorded
    const [span] = spans.spans
    expect(span?.status).toBe('error')
    expect(span?.attributes).toMatchObject({
      'taskiq.outcome': 'failure',
      'taskiq.will_retry': false,
      'error.type': 'Error',
    })
    expect(span?.events.map(({ name }) => name)).toEqual(['exception'])
    expect(logs.named('task.failed')).toMatchObject([
      {
        level: 'error',
        outcome: 'failure',
        will_retry: false,
        reason: 'nacked without requeue: dead-lettered, or dropped where the queue has no dead-letter exchange',
        error: { type: 'Error', message: 'boom' },
      },
    ])
    expect(await metrics.value('taskiq_messages_dead_lettered_total')).toBe(1)
    expect(await metrics.value('taskiq_task_failures_total', { error_type: 'Error' })).toBe(1)
  })

  it('also when the handler throws before it returns a promise, without closing the channel', async () => {
    const handler = (): never => {
      throw boom
    }
    const { ours } = await compared({ bodies: ['1', '2'], deliveries: 2, handler: async () => handler() }, byHand())
    const sync = await fate({
      bodies: ['1', '2'],
      deliveries: 2,
      handler: async () => {},
      start: (channel, queue, seen) =>
        amqp().consume(channel, queue, (message) => {
          void seen(message)
          return handler()
        }),
    })
    expect(sync).toEqual(ours)
  })

  it("requeues once with 'once', and dead-letters the second failure", async () => {
    const run = { bodies: ['1'], deliveries: 2, handler: fails }
    const { plain, ours, recorded } = await compared(
      run,
      byHand(({ fields }) => !fields.redelivered),
      { requeue: 'once' },
    )
    expect(ours).toEqual(plain)
    expect(ours.handled.map(({ redelivered }) => redelivered)).toEqual([false, true])
    const { spans, logs, metrics } = recorded
    expect(spans.spans.map(({ attributes }) => attributes['taskiq.outcome'])).toEqual(['retry', 'failure'])
    expect(spans.spans.map(({ attributes }) => attributes['taskiq.attempt'])).toEqual([1, 2])
    expect(spans.spans[1]?.attributes['messaging.message.retry.count']).toBe(1)
    expect(logs.named('task.retrying')).toMatchObject([{ will_retry: true, reason: 'nacked and requeued' }])
    expect(await metrics.value('taskiq_tasks_total', { outcome: 'retry' })).toBe(1)
    expect(await metrics.value('taskiq_messages_dead_lettered_total')).toBe(1)
  })

  it("ends with 'once' also where the producer writes a retry count into every message", async () => {
    const admin = await openChannel()
    const { queue, deadLetters } = await makeQueueWithDeadLetters(admin)
    const two = tally(2)
    const consumer = await amqp().consume(
      await openChannel(),
      queue,
      () => {
        two.hit()
        throw boom
      },
      { requeue: 'once' },
    )
    admin.sendToQueue(queue, Buffer.from('1'), { headers: { retries: 0, task: 'celery.task', id: 'x' } })
    await two.reached
    await consumer.close()
    expect((await takeAll(deadLetters)).length).toBe(1)
  })

  it('asks a policy once per failure, with the very error, the message and the attempt', async () => {
    const asked: unknown[][] = []
    const policy = (error: unknown, message: ConsumeMessage, attempt: number): boolean => {
      asked.push([error, message.content.toString(), attempt])
      return !message.fields.redelivered
    }
    const { plain, ours } = await compared(
      { bodies: ['1', '2'], deliveries: 4, handler: fails },
      byHand((message) => !message.fields.redelivered),
      { requeue: policy },
    )
    expect(ours).toEqual(plain)
    expect(asked).toEqual([
      [boom, '1', 1],
      [boom, '1', 2],
      [boom, '2', 1],
      [boom, '2', 2],
    ])
    expect(asked.every(([error]) => error === boom)).toBe(true)
  })

  it.each([
    [
      'throws',
      (): boolean => {
        throw new Error('policy')
      },
    ],
    ['gives a promise', (async () => true) as unknown as () => boolean],
    ['gives a rejected promise', (() => Promise.reject(new Error('policy'))) as unknown as () => boolean],
    ['gives no boolean', (() => 'yes') as unknown as () => boolean],
  ])('is not requeued, and counted, when the policy %s', async (_, requeue) => {
    const run = { bodies: ['1'], deliveries: 1, handler: fails }
    const { plain, ours, recorded } = await compared(run, byHand(), { requeue })
    expect(ours).toEqual(plain)
    expect(await recorded.metrics.value('taskiq_telemetry_errors_total', { reason: 'requeue' })).toBeGreaterThan(0)
  })

  it('never requeues what the handler rejected, and counts it by its reason', async () => {
    let asked = 0
    const { ours, recorded } = await compared(
      {
        bodies: ['1'],
        deliveries: 1,
        handler: async () => {
          throw reject('malformed')
        },
      },
      byHand(),
      { requeue: () => ++asked > 0 },
    )
    expect(asked).toBe(0)
    expect(ours.dead.map(({ body }) => body)).toEqual(['1'])
    const { spans, metrics, logs } = recorded
    expect(spans.spans[0]?.status).toBe('unset')
    expect(spans.spans[0]?.attributes['taskiq.outcome']).toBe('rejected')
    expect(await metrics.value('taskiq_messages_rejected_total', { reason: 'malformed' })).toBe(1)
    expect(await metrics.value('taskiq_task_failures_total')).toBeUndefined()
    expect(logs.named('message.rejected')).toMatchObject([{ reason: 'malformed' }])
  })

  it('never settles with noAck', async () => {
    const run = { bodies: ['1', '2'], deliveries: 2, handler: async () => 'done' }
    const { plain, ours } = await compared(run, alone, { noAck: true })
    expect(ours).toEqual(plain)
    expect(ours).toMatchObject({ left: [], dead: [], closedWith: undefined })
  })

  it('with noAck the error goes where it goes without us, and is recorded', async () => {
    const run = { bodies: ['1'], deliveries: 1, handler: fails }
    const { plain, ours, recorded } = await compared(run, alone, { noAck: true })
    expect(ours).toEqual(plain)
    expect(ours.unhandled).toEqual([boom])
    expect(recorded.logs.named('task.failed')).toHaveLength(1)
  })
})

describe('manual settling, beside plain amqplib', () => {
  const manual: ConsumeOptions = { settle: 'manual' }

  it.each<[string, Handler]>([
    ['acks', (message, channel) => channel.ack(message)],
    ['acks later than it returns', (message, channel) => void queueMicrotask(() => channel.ack(message))],
    ['nacks without requeue', (message, channel) => channel.nack(message, false, false)],
    ['rejects with requeue, then acks', ackWhenRedelivered],
    ['never settles', () => {}],
    [
      'acks twice',
      async (message, channel) => {
        channel.ack(message)
        channel.ack(message)
      },
    ],
    [
      'throws after it acked',
      async (message, channel) => {
        channel.ack(message)
        throw boom
      },
    ],
    ['throws without settling', fails],
  ])('leaves everything to a handler that %s', async (_, handler) => {
    const deliveries = handler === ackWhenRedelivered ? 2 : 1
    const { plain, ours } = await compared({ bodies: ['1'], deliveries, handler }, alone, manual)
    expect(ours).toEqual(plain)
  })

  function ackWhenRedelivered(message: ConsumeMessage, channel: Channel): void {
    if (message.fields.redelivered) channel.ack(message)
    else channel.reject(message, true)
  }
})

describe('a handler that settles although we do', () => {
  it.each<[string, Handler]>([
    ['acks', async (message, channel) => channel.ack(message)],
    ['nacks', async (message, channel) => channel.nack(message, false, false)],
    ['rejects', async (message, channel) => channel.reject(message, false)],
    ['acks all up to it', async (message, channel) => channel.ack(message, true)],
    ['acks all', async (_, channel) => channel.ackAll()],
    [
      'acks and throws',
      async (message, channel) => {
        channel.ack(message)
        throw boom
      },
    ],
    [
      'acks twice',
      async (message, channel) => {
        channel.ack(message)
        channel.ack(message)
      },
    ],
  ])(
    'is left alone when it %s: the broker is told what plain amqplib would tell it, and it is counted',
    async (_, handler) => {
      const asked: unknown[] = []
      const { plain, ours, recorded } = await compared({ bodies: ['1'], deliveries: 1, handler }, alone, {
        requeue: (error) => asked.push(error) > 0,
      })
      expect({ ...ours, unhandled: [] }).toEqual({ ...plain, unhandled: [] })
      expect(ours.unhandled).toEqual([])
      expect(asked).toEqual([])
      expect(
        await recorded.metrics.value('taskiq_telemetry_errors_total', { reason: 'settled_by_handler' }),
      ).toBeGreaterThan(0)
    },
  )

  it('settles the messages that the handler has not settled', async () => {
    const handler: Handler = async (message, channel) => {
      if (message.content.toString() === '2') channel.ack(message)
    }
    const start: Run['start'] = (channel, queue, seen) => amqp().consume(channel, queue, seen)
    const ours = await fate({ bodies: ['1', '2', '3'], deliveries: 3, handler, start })
    expect(ours).toMatchObject({ left: [], dead: [], closedWith: undefined })
  })
})

describe('what a handler acks for others', () => {
  it('is not acked again when they end, with allUpTo', async () => {
    const channel = await openChannel()
    const { queue } = await makeQueueWithDeadLetters(channel)
    const running: (() => void)[] = []
    const two = tally(2)
    const consumer = await amqp().consume(channel, queue, (message) => {
      if (message.content.toString() === 'last') return channel.ack(message, true)
      two.hit()
      return new Promise<void>((resolve) => running.push(resolve))
    })
    for (const body of ['1', '2', 'last']) channel.sendToQueue(queue, Buffer.from(body))
    await two.reached
    await channel.checkQueue(queue) // the last has been delivered before this answer
    for (const end of running) end()
    await consumer.close()
    await channel.checkQueue(queue) // and no second ack has closed the channel
    await channel.close()
    expect(await takeAll(queue)).toEqual([])
  })

  it('does not count for the channel that stands behind after a reconnect, whose tags begin at 1 again', async () => {
    const acked: number[] = []
    const channel = {
      ack: ({ fields }: Message) => void acked.push(fields.deliveryTag),
      nack: () => {},
      ackAll: () => {},
    }
    const deliver = amqp().wrap(
      async ({ content }: ConsumeMessage) => {
        if (content.toString() === 'all') channel.ackAll()
      },
      { queue: 'work', channel },
    )
    const message = (deliveryTag: number, body: string): ConsumeMessage => ({
      fields: { consumerTag: 'c', deliveryTag, redelivered: false, exchange: '', routingKey: 'work' },
      properties: { headers: {} } as ConsumeMessage['properties'],
      content: Buffer.from(body),
    })
    for (const [tag, body] of [
      [1, ''],
      [2, ''],
      [3, 'all'],
      [1, ''],
      [2, ''],
    ] as const) {
      await deliver(message(tag, body))
    }
    expect(acked).toEqual([1, 2, 1, 2])
  })
})

describe('settling on other queues', () => {
  it('counts attempts by the delivery count of a quorum queue', async () => {
    const { spans, t } = await record()
    const admin = await openChannel()
    const { queue, deadLetters } = await makeQueueWithDeadLetters(admin, {
      durable: true,
      arguments: { 'x-queue-type': 'quorum' },
    })
    const three = tally(3)
    const consumer = await amqp(t).consume(
      await openChannel(),
      queue,
      () => {
        three.hit()
        throw boom
      },
      { requeue: (_, __, attempt) => attempt < 3 },
    )
    admin.sendToQueue(queue, Buffer.from('1'), { persistent: true })
    await three.reached
    await consumer.close()
    expect(spans.spans.map(({ attributes }) => attributes['taskiq.attempt'])).toEqual([1, 2, 3])
    expect(spans.spans.map(({ attributes }) => attributes['taskiq.outcome'])).toEqual(['retry', 'retry', 'failure'])
    expect((await receiveOne(deadLetters))?.content.toString()).toBe('1')
  })

  it('counts attempts by x-death where failures come back through a delay queue, and then knows no wait', async () => {
    const { spans, t } = await record()
    const admin = await openChannel()
    const work = `work-${Date.now()}`
    const delayed = (
      await admin.assertQueue('', {
        messageTtl: 20,
        deadLetterExchange: '',
        deadLetterRoutingKey: work,
        exclusive: true,
      })
    ).queue
    await admin.assertQueue(work, { durable: false, deadLetterExchange: '', deadLetterRoutingKey: delayed })
    const three = tally(3)
    const consumer = await amqp(t).consume(await openChannel(), work, ({ properties }) => {
      three.hit()
      const deaths = (properties.headers?.['x-death'] ?? []).filter(({ queue }) => queue === work)
      if ((deaths[0]?.count ?? 0) < 2) throw boom
    })
    admin.sendToQueue(work, Buffer.from('1'), { timestamp: Math.floor(Date.now() / 1000) })
    await three.reached
    await consumer.close()
    expect(spans.spans.map(({ attributes }) => attributes['taskiq.attempt'])).toEqual([1, 2, 3])
    expect(spans.spans.map(({ attributes }) => 'taskiq.wait_ms' in attributes)).toEqual([true, false, false])
    expect(new Set(spans.spans.map(({ traceId }) => traceId)).size).toBe(3)
  })

  it('knows a message that expired in a priority queue by its dead letter only: it never ran', async () => {
    const { spans, metrics, t } = await record()
    const admin = await openChannel()
    const { queue, deadLetters } = await makeQueueWithDeadLetters(admin, { maxPriority: 10 })
    admin.sendToQueue(queue, Buffer.from('expired'), { expiration: 1, priority: 9 })
    admin.sendToQueue(queue, Buffer.from('low'), { priority: 1 })
    admin.sendToQueue(queue, Buffer.from('high'), { priority: 5 })
    const died = await receiveOne(deadLetters)
    expect(died.properties.headers?.['x-death']?.[0]?.reason).toBe('expired')
    const seen: string[] = []
    const two = tally(2)
    const consumer = await amqp(t).consume(
      await openChannel(),
      queue,
      ({ content }) => {
        seen.push(content.toString())
        two.hit()
      },
      { prefetch: 1 },
    )
    await two.reached
    await consumer.close()
    expect(seen).toEqual(['high', 'low'])
    expect(spans.spans.map(({ attributes }) => attributes['taskiq.priority'])).toEqual([5, 1])
    expect(await metrics.value('taskiq_messages_dead_lettered_total')).toBeUndefined()
  })
})

async function receiveOne(queue: string): Promise<ConsumeMessage> {
  const channel = await openChannel()
  return new Promise((resolve, reject) => {
    channel.consume(queue, (message) => message && resolve(message), { noAck: true }).catch(reject)
  })
}
