// Consuming: each delivery is a task with a span, attributes, metrics and a line, and the handle drains.
import { context, propagation, trace } from '@opentelemetry/api'
import type { Channel, ConsumeMessage } from 'amqplib'
import { currentTask, type Task } from 'taskspan'
import { amqp } from 'taskspan/amqp'
import { log } from 'taskspan/logging'
import { describe, expect, it } from 'vitest'
import { latch, makeQueue, openChannel, openConnection, takeAll, tally } from '../../support/amqp.ts'
import { record } from '../../support/record.ts'

const secondsAgo = (n: number): number => Math.floor(Date.now() / 1000) - n
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

describe('a delivery', () => {
  it('runs in a span with the contract name, kind, parent and attributes', async () => {
    const { spans, t, faults } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const received = latch<ConsumeMessage>()
    await amqp(t).consume(channel, queue, (message) => received.open(message))
    const sentAt = Math.floor(Date.now() / 1000)
    channel.sendToQueue(queue, Buffer.from('{}'), {
      headers: { traceparent: TRACEPARENT },
      type: 'save_order',
      messageId: 'm-1',
      priority: 3,
      timestamp: sentAt,
    })

    const span = await spans.waitFor('taskiq.save_order')
    expect((await received.promise).properties.messageId).toBe('m-1')
    expect(span.kind).toBe('consumer')
    expect(span.traceId).toBe('0af7651916cd43dd8448eb211c80319c')
    expect(span.parentSpanId).toBe('b7ad6b7169203331')
    expect(span.status).toBe('unset')
    expect(span.attributes).toMatchObject({
      task_type: 'on_demand',
      'taskiq.task.name': 'save_order',
      'taskiq.attempt': 1,
      'taskiq.priority': 3,
      'taskiq.outcome': 'success',
      'messaging.system': 'rabbitmq',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': queue,
      'messaging.message.id': 'm-1',
      'messaging.rabbitmq.destination.routing_key': queue,
      'messaging.rabbitmq.message.delivery_tag': 1,
    })
    const waited = span.attributes['taskiq.wait_ms'] as number
    expect(waited).toBeGreaterThanOrEqual(0)
    expect(waited).toBeLessThan(5_000)
    expect(span.attributes['messaging.message.receive.latency']).toBe(waited)
    expect(await faults()).toBe(0)
  })

  it('is counted, timed and logged, with the trace of its span', async () => {
    const { spans, metrics, logs, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    await amqp(t).consume(channel, queue, () => log().info('saving'))
    channel.sendToQueue(queue, Buffer.from('{}'), { type: 'save', messageId: 'm-2', timestamp: secondsAgo(3) })

    const line = await logs.waitFor('task.succeeded')
    const span = spans.one('taskiq.save')
    const own = { trace_id: span.traceId, span_id: span.spanId, task_name: 'save', task_id: 'm-2', queue, attempt: 1 }
    expect(line).toMatchObject({ ...own, task_type: 'on_demand', outcome: 'success' })
    expect(logs.named('saving')).toMatchObject([own])
    const labels = { queue, task_name: 'save' }
    expect(await metrics.value('taskiq_tasks_total', { ...labels, outcome: 'success' })).toBe(1)
    expect(await metrics.value('taskiq_tasks_duration_seconds_count', { ...labels, result: 'ok' })).toBe(1)
    expect(await metrics.value('taskiq_task_wait_seconds_sum', labels)).toBeGreaterThan(1.9)
    expect(await metrics.value('taskiq_tasks_in_progress', labels)).toBe(0)
  })

  it('is acked after the onion has returned, not before', async () => {
    const channel = await openChannel()
    const other = await openChannel()
    const queue = await makeQueue(channel)
    const order: string[] = []
    const { ack } = channel
    channel.ack = (message) => {
      order.push('ack')
      ack.call(channel, message)
    }
    const done = latch()
    const consumer = await amqp(async (_, next) => {
      await next()
      await other.checkQueue(queue) // a round trip to the broker
      order.push('onion')
      done.open()
    }).consume(channel, queue, () => {
      order.push('handler')
    })
    channel.sendToQueue(queue, Buffer.from('1'))
    await done.promise
    await consumer.close()
    expect(order).toEqual(['handler', 'onion', 'ack'])
  })

  it('starts from the root: nothing of the request in which the consumer was made', async () => {
    const { spans, t } = await record({ correlation: ['request_id'] })
    const queue = await trace.getTracer('test').startActiveSpan('request', async (request) => {
      const baggage = propagation.createBaggage({ request_id: { value: 'r-1' } })
      return context.with(propagation.setBaggage(context.active(), baggage), async () => {
        const channel = await openChannel()
        const queue = await makeQueue(channel)
        await amqp(t).consume(channel, queue, () => {
          expect(propagation.getActiveBaggage()).toBeUndefined()
          trace.getTracer('test').startSpan('inner').end()
        })
        request.end()
        return queue
      })
    })
    const plain = await openChannel()
    plain.sendToQueue(queue, Buffer.from('1'))
    const task = await spans.waitFor(`taskiq.${queue}`)
    expect(task.traceId).not.toBe(spans.one('request').traceId)
    expect(task.parentSpanId).toBeUndefined()
    expect(task.attributes).not.toHaveProperty('request_id')
    expect(spans.one('inner').parent?.name).toBe(task.name)
  })

  it('gives the handler the very message, and currentTask() inside', async () => {
    const { t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const seen = latch<ConsumeMessage>()
    const consumer = await amqp(t).consume(channel, queue, (message) => {
      expect(currentTask()?.message).toBe(message)
      expect(currentTask()?.queue).toBe(queue)
      seen.open(message)
    })
    channel.sendToQueue(queue, Buffer.from('body'), { headers: { a: 1 } })
    const { content, properties, fields } = await seen.promise
    expect(content.toString()).toBe('body')
    expect(properties.headers).toEqual({ a: 1 })
    expect(fields.consumerTag).toBe(consumer.consumerTag)
  })

  it('of a queue that the broker named is (anonymous) in names and labels', async () => {
    const { spans, metrics, t } = await record()
    const channel = await openChannel()
    const { queue } = await channel.assertQueue('', { exclusive: true })
    expect(queue).toMatch(/^amq\.gen-/)
    const consumer = await amqp(t).consume(channel, queue, () => {})
    channel.sendToQueue(queue, Buffer.from('1'))
    const span = await spans.waitFor('taskiq.(anonymous)')
    expect(span.attributes['messaging.destination.name']).toBe('(anonymous)')
    expect(await metrics.value('taskiq_tasks_total', { queue: '(anonymous)', task_name: '(anonymous)' })).toBe(1)
    expect(consumer.queue).toBe('(anonymous)')
  })

  it('takes the name option over everything that the message says, and never the routing key', async () => {
    const { spans, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    await channel.assertExchange('shop', 'topic', { durable: false })
    await channel.bindQueue(queue, 'shop', 'order.#')
    const consumer = await amqp(t).consume(channel, queue, () => {})
    channel.publish('shop', 'order.4711.created', Buffer.from('1'))
    const span = await spans.waitFor(`taskiq.${queue}`)
    expect(span.attributes['messaging.rabbitmq.destination.routing_key']).toBe('order.4711.created')
    await consumer.close()

    await amqp(t).consume(channel, queue, () => {}, { name: 'save' })
    channel.publish('shop', 'order.4712.created', Buffer.from('1'), { type: 'other', headers: { task_name: 'third' } })
    await spans.waitFor('taskiq.save')
  })
})

describe('the parent of a task', () => {
  const send = (channel: Channel, queue: string, age = 0): void => {
    const headers = { traceparent: TRACEPARENT }
    channel.sendToQueue(queue, Buffer.from('1'), { type: 'save', headers, timestamp: secondsAgo(age) })
  }
  const [, traceId, spanId] = TRACEPARENT.split('-')

  it.each([
    ['child', { parent: 'child' }, 0, true, 0],
    ['link', { parent: 'link' }, 0, false, 1],
    ['root', { parent: 'root' }, 0, false, 0],
    ['the choice of a function', { parent: (task: Task) => (task.name === 'save' ? 'link' : 'child') }, 0, false, 1],
    ['a sender who is not too old', { maxTraceAgeMs: 60_000 }, 30, true, 0],
    ['a sender who is too old', { maxTraceAgeMs: 60_000 }, 90, false, 1],
  ] as const)('is %s', async (_, options, age, isChild, links) => {
    const { spans, t } = await record(options)
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    await amqp(t).consume(channel, queue, () => {})
    send(channel, queue, age)
    const span = await spans.waitFor('taskiq.save')
    expect(span.parentSpanId).toBe(isChild ? spanId : undefined)
    expect(span.traceId === traceId).toBe(isChild)
    expect(span.links).toMatchObject(links === 0 ? [] : [{ traceId, spanId }])
  })
})

describe('while it runs', () => {
  it('is counted as in progress, with the age of the oldest, and slow ones get a line', async () => {
    const { metrics, logs, t } = await record({ slowAfterMs: 5 })
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const started = latch()
    const finish = latch()
    await amqp(t).consume(channel, queue, async () => {
      started.open()
      await finish.promise
    })
    channel.sendToQueue(queue, Buffer.from('1'), { type: 'save' })
    await started.promise
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(await metrics.value('taskiq_tasks_in_progress', { queue, task_name: 'save' })).toBe(1)
    expect(await metrics.value('taskiq_task_oldest_running_seconds', { queue })).toBeGreaterThan(0.005)
    finish.open()
    expect(await logs.waitFor('task.slow')).toMatchObject({ level: 'warning', task_name: 'save', queue })
    expect(await metrics.value('taskiq_tasks_in_progress', { queue, task_name: 'save' })).toBe(0)
  })
})

describe('onFailure and correlate', () => {
  it('are told of the final failure only, with the error, and add keys of the payload', async () => {
    const told: unknown[] = []
    const boom = new Error('boom')
    const { spans, logs, t } = await record({
      onFailure: (error, task) => told.push([error, task.attempt]),
      correlate: ({ message }) => ({ order: JSON.parse(String((message as ConsumeMessage).content)).order }),
    })
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    await amqp(t).consume(
      channel,
      queue,
      () => {
        throw boom
      },
      { requeue: 'once' },
    )
    channel.sendToQueue(queue, Buffer.from('{"order":7}'), { type: 'save' })
    const [, last] = await spans.waitFor('taskiq.save', 2)
    await logs.waitFor('task.failed')
    expect(told).toEqual([[boom, 2]])
    expect(last?.attributes.order).toBe('7')
    expect(logs.named('task.failed')).toMatchObject([{ order: '7' }])
  })
})

describe('the handle', () => {
  it('drains on close: no new delivery, the running handler ends, its ack arrives', async () => {
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const started = latch()
    const finish = latch()
    const seen: string[] = []
    const consumer = await amqp().consume(
      channel,
      queue,
      async (message) => {
        seen.push(message.content.toString())
        started.open()
        await finish.promise
      },
      { prefetch: 1 },
    )
    channel.sendToQueue(queue, Buffer.from('1'))
    channel.sendToQueue(queue, Buffer.from('2'))
    await started.promise
    expect(consumer.running).toBe(1)
    let closed = false
    const closing = consumer.close().then(() => {
      closed = true
    })
    expect((await channel.checkQueue(queue)).messageCount).toBe(1)
    expect(closed).toBe(false)
    finish.open()
    await closing
    expect(consumer.running).toBe(0)
    await channel.close()
    expect((await takeAll(queue)).map(({ content }) => content.toString())).toEqual(['2'])
    expect(seen).toEqual(['1'])
  })

  it('gives up waiting after graceMs, and the late ack still arrives', async () => {
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const started = latch()
    const finish = latch()
    const consumer = await amqp().consume(channel, queue, () => {
      started.open()
      return finish.promise
    })
    channel.sendToQueue(queue, Buffer.from('1'))
    await started.promise
    await consumer.close({ graceMs: 10 })
    expect(consumer.running).toBe(1)
    finish.open()
    await consumer.close()
    await channel.close()
    expect(await takeAll(queue)).toEqual([])
  })

  it('removes every listener of ours and gives the channel back as it was', async () => {
    const connection = await openConnection()
    const channel = await openChannel(connection)
    const emitters = [channel, channel.connection as unknown as typeof channel]
    const count = () => emitters.map((on) => on.eventNames().map((name) => [name, on.listenerCount(name)]))
    const before = count()
    const queue = await makeQueue(channel)
    const { consume } = amqp()
    const consumers = await Promise.all([1, 2, 3].map(() => consume(channel, queue, () => {})))
    const during = count()
    expect(during).not.toEqual(before)
    await Promise.all(consumers.map((consumer) => consumer.close()))
    expect(count()).toEqual(before)
    expect(Object.hasOwn(channel, 'ack')).toBe(false)
  })

  it('has one listener per event however many consumers share the connection', async () => {
    const connection = await openConnection()
    const warnings: Error[] = []
    const warned = (warning: Error): void => void warnings.push(warning)
    process.on('warning', warned)
    const { consume } = amqp()
    const channel = await openChannel(connection)
    const queue = await makeQueue(channel)
    for (let n = 0; n < 12; n++) await consume(channel, queue, () => {})
    for (let n = 0; n < 12; n++) await consume(await openChannel(connection), queue, () => {})
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', warned)
    expect(warnings).toEqual([])
  })

  it('is closed by await using', async () => {
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    {
      await using consumer = await amqp().consume(channel, queue, () => {})
      expect((await channel.checkQueue(queue)).consumerCount).toBe(1)
      expect(consumer.queue).toBe(queue)
    }
    expect((await channel.checkQueue(queue)).consumerCount).toBe(0)
  })
})

describe('options', () => {
  it('passes amqplib its own, and prefetch limits this consumer', async () => {
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const options = Object.freeze({ consumerTag: 'mine', exclusive: true, prefetch: 2, arguments: { a: 1 } })
    const two = tally(2)
    const finish = latch()
    const consumer = await amqp().consume(
      channel,
      queue,
      () => {
        two.hit()
        return finish.promise
      },
      options,
    )
    expect(consumer.consumerTag).toBe('mine')
    for (let n = 0; n < 5; n++) channel.sendToQueue(queue, Buffer.from('1'))
    await two.reached
    await channel.checkQueue(queue)
    expect(consumer.running).toBe(2)
    await expect((await openChannel()).consume(queue, () => {})).rejects.toMatchObject({ code: 403 })
    finish.open()
  })

  it.each([
    [{ prefetsh: 1 }, 'UNKNOWN_OPTION'],
    [{ prefetch: -1 }, 'INVALID_OPTION'],
    [{ requeue: 'always' }, 'INVALID_OPTION'],
    [{ settle: 'never' }, 'INVALID_OPTION'],
    [{ requeue: 'once', noAck: true }, 'INVALID_OPTION'],
    [{ requeue: 'once', settle: 'manual' }, 'INVALID_OPTION'],
    [{ name: '' }, 'INVALID_OPTION'],
  ])('refuses %j with %s', async (options, code) => {
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    await expect(amqp().consume(channel, queue, () => {}, options as never)).rejects.toMatchObject({ code })
    expect((await channel.checkQueue(queue)).consumerCount).toBe(0)
  })

  it('refuses a channel, a queue and a handler that are none, before a message could be lost by them', async () => {
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const promised = Promise.resolve(channel)
    const { consume, wrap, observe } = amqp()
    const wrong: [() => unknown, string][] = [
      [() => consume(channel, queue, undefined as never), 'consume: the handler must be a function, got undefined.'],
      [() => consume(channel, queue, {} as never), 'consume: the handler must be a function, got [object Object].'],
      [() => consume(channel, undefined as never, () => {}), 'consume: the queue must be a text, got undefined.'],
      [() => consume(promised as never, queue, () => {}), 'consume: the channel must have consume(), cancel(), got'],
      [() => wrap(undefined as never, { queue }), 'wrap: the handler must be a function, got undefined.'],
      [() => wrap(() => {}, undefined as never), 'wrap: options must be an object, got undefined.'],
      [() => wrap(() => {}, { queue, channel: promised as never }), "wrap: 'channel' must have ack(), nack(), got"],
      [() => observe(promised), 'observe: the channel must have on(), off(), got [object Promise].'],
    ]
    for (const [make, message] of wrong) {
      const refused = await (async () => make())().catch((error: unknown) => error)
      expect(refused).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining(message) })
    }
    expect((await channel.checkQueue(queue)).consumerCount).toBe(0)
  })

  it('are checked by the compiler, too', () => {
    const wrong = async (channel: Channel): Promise<void> => {
      const { consume, wrap } = amqp()
      // @ts-expect-error: no such option
      await consume(channel, 'q', () => {}, { prefetsh: 1 })
      // @ts-expect-error: a policy answers with a boolean
      await consume(channel, 'q', () => {}, { requeue: async () => true })
      // @ts-expect-error: a handler gets a message
      await consume(channel, 'q', (message: string) => message)
      // @ts-expect-error: a delivery does not say its queue
      wrap(() => {}, {})
      const cut = wrap((message: ConsumeMessage) => message.content, { queue: 'q' })
      // @ts-expect-error: null is passed on, as amqplib does it
      await channel.consume('q', cut)
      const length: Promise<number | undefined> = wrap((message: ConsumeMessage) => message.content.length, {
        queue: 'q',
      })({} as ConsumeMessage)
      await length
    }
    expect(wrong).toBeTypeOf('function')
  })

  it.each([
    [{}, 'queue'],
    [{ queue: 'q', settle: 'auto' }, 'needs the channel'],
    [{ queue: 'q', requeue: 'once' }, 'no say'],
    [{ queue: 'q', chanel: {} }, 'chanel'],
  ])('of wrap, %j is refused', (options, message) => {
    expect(() => amqp().wrap(() => {}, options as never)).toThrow(message)
  })

  it('fails with the error of the channel, and leaves nothing behind, when the queue does not exist', async () => {
    const channel = await openChannel()
    const before = channel.eventNames().map((name) => [name, channel.listenerCount(name)])
    await expect(amqp().consume(channel, 'nowhere', () => {})).rejects.toMatchObject({ code: 404 })
    expect(channel.eventNames().map((name) => [name, channel.listenerCount(name)])).toEqual(before)
  })
})
