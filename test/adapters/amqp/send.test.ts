// Sending: a `send` span around the channel's own publish, its context in the message, and nothing else changed.
import { context, trace } from '@opentelemetry/api'
import type { Channel, ConfirmChannel, ConsumeMessage, Options } from 'amqplib'
import type { Middleware } from 'taskspan'
import { amqp, inject } from 'taskspan/amqp'
import { bind } from 'taskspan/logging'
import { describe, expect, it } from 'vitest'
import { latch, makeQueue, openChannel, openConfirmChannel, queueName, receive, unhandled } from '../../support/amqp.ts'
import { record } from '../../support/record.ts'

const inRequest = <T>(fn: () => T): T =>
  trace.getTracer('test').startActiveSpan('request', (span) => {
    try {
      return fn()
    } finally {
      span.end()
    }
  })

const body = Buffer.from('{"id":7}')

describe('publish', () => {
  it('puts a PRODUCER span between the request and the task', async () => {
    const { spans, metrics, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const { consume, publish } = amqp(t)
    await consume(channel, queue, () => {})
    const given = inRequest(() => publish(channel, '', queue, body, { type: 'save', messageId: 'm-1' }))
    expect(given).toBe(true)
    await spans.waitFor('taskiq.save')
    expect(spans.outline()).toBe(`request\n  send ${queue}\n    taskiq.save`)
    const send = spans.one(`send ${queue}`)
    expect(send.kind).toBe('producer')
    expect(send.attributes).toMatchObject({
      'messaging.system': 'rabbitmq',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': queue,
      'messaging.message.id': 'm-1',
      'messaging.rabbitmq.destination.routing_key': queue,
      'taskiq.task.name': 'save',
    })
    expect(await metrics.value('taskiq_messages_sent_total', { queue, task_name: 'save' })).toBe(1)
  })

  it('names the span after the exchange, never after the routing key', async () => {
    const { spans, t } = await record()
    const channel = await openChannel()
    await channel.assertExchange('shop', 'topic', { durable: false })
    amqp(t).publish(channel, 'shop', 'order.4711.created', body)
    const send = await spans.waitFor('send shop')
    expect(send.attributes['messaging.rabbitmq.destination.routing_key']).toBe('order.4711.created')
  })

  it('sends what plain amqplib sends, and the trace; frozen and shared options stay as they are', async () => {
    const { spans, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const headers = Object.freeze({ a: 1, nested: Object.freeze({ b: [1, 'x'] }), none: null, raw: Buffer.from('x') })
    const options = Object.freeze({
      headers,
      persistent: true,
      priority: 4,
      type: 'save',
      appId: 'shop',
      CC: ['other'],
      expiration: 60_000,
      contentType: 'application/json',
    })
    const before = structuredClone({ ...options, headers: { ...headers, raw: 0 } })
    const { publish, sendToQueue } = amqp(t)
    channel.publish('', queue, body, options)
    publish(channel, '', queue, body, options)
    sendToQueue(channel, queue, body, options)
    const [plain, published, sent] = await receive(queue, 3)
    for (const message of [published, sent] as ConsumeMessage[]) {
      const { traceparent, ...rest } = message.properties.headers as Record<string, unknown>
      expect(traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
      expect({ ...message.properties, headers: rest }).toEqual(plain?.properties)
      expect(message.content).toEqual(plain?.content)
    }
    expect({ ...options, headers: { ...options.headers, raw: 0 } }).toEqual(before)
    const ids = [published, sent].map((message) => String(message?.properties.headers?.traceparent).slice(36, 52))
    expect(ids).toEqual(spans.named(`send ${queue}`).map(({ spanId }) => spanId))
  })

  it('also sends options of a class that keeps them private', async () => {
    const { spans, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    class Persistent {
      readonly #type = 'save'
      readonly messageId = 'm'
      get type(): string {
        return this.#type
      }
    }
    amqp(t).publish(channel, '', queue, body, new Persistent())
    inRequest(() => channel.publish('', queue, body, inject(new Persistent())))
    const traces = [spans.one(`send ${queue}`).traceId, spans.one('request').traceId]
    for (const [at, { properties }] of (await receive(queue, 2)).entries()) {
      expect(properties).toMatchObject({ type: 'save', messageId: 'm' })
      expect(properties.headers?.traceparent).toContain(traces[at])
    }
  })

  it('also sends what options and headers inherit', async () => {
    const { t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const headers = Object.assign(Object.create({ tenant: 'acme' }), { a: 1 }) as Record<string, unknown>
    const options = Object.assign(Object.create({ type: 'save', headers }), { messageId: 'm' }) as Options.Publish
    channel.publish('', queue, body, options)
    amqp(t).publish(channel, '', queue, body, options)
    const [plain, ours] = await receive(queue, 2)
    expect(plain?.properties.headers).toEqual({ tenant: 'acme', a: 1 })
    expect(ours?.properties).toEqual({
      ...plain?.properties,
      headers: { tenant: 'acme', a: 1, traceparent: expect.any(String) },
    })
  })

  it('leaves an answer that works when it is asked to its caller', async () => {
    const { spans, t, faults } = await record()
    let asked = 0
    class Answer extends Promise<boolean> {
      static override get [Symbol.species]() {
        return Promise
      }
      // biome-ignore lint/suspicious/noThenProperty: that is what a client of somebody's own may do
      override then<A, B>(good?: ((value: boolean) => A) | null, bad?: ((error: unknown) => B) | null): Promise<never> {
        asked++
        return super.then(good, bad) as Promise<never>
      }
    }
    const answer = new Answer((resolve) => resolve(true))
    const given = amqp(t).publish({ publish: () => answer }, '', 'orders', body as never)
    expect([given]).toEqual([answer])
    expect(await given).toBe(true)
    expect(asked).toBe(1)
    expect((await spans.waitFor('send orders')).status).toBe('unset')
    expect(await faults()).toBe(0)
  })

  it('hands over the very options where there is nothing to carry', async () => {
    const channel = await openChannel()
    const seen: unknown[] = []
    channel.publish = (...args: unknown[]) => seen.push(args) > 0
    const options = { persistent: true }
    const { publish } = amqp()
    publish(channel, 'shop', 'key', body, options)
    publish(channel, 'shop', 'key', body)
    expect(seen).toEqual([
      ['shop', 'key', body, options, undefined],
      ['shop', 'key', body, undefined, undefined],
    ])
    expect((seen[0] as unknown[])[3]).toBe(options)
  })

  it('publishes once, in the same tick, whatever a middleware does', async () => {
    const { t, metrics } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    let published = 0
    const { publish } = channel
    channel.publish = (...args) => {
      published++
      return publish.apply(channel, args)
    }
    const odd: Middleware[] = [
      async () => {
        throw new Error('before')
      },
      async (_, next) => {
        await next()
        throw new Error('after')
      },
      (() => {
        throw new Error('sync')
      }) as unknown as Middleware,
      async (_, next) => {
        await new Promise((resolve) => setImmediate(resolve))
        return next()
      },
      async () => undefined,
    ]
    for (const [at, middleware] of odd.entries()) {
      expect(amqp(t, middleware).publish(channel, '', queue, body)).toBe(true)
      expect(published).toBe(at + 1)
    }
    expect(await receive(queue, odd.length)).toHaveLength(odd.length)
    expect(published).toBe(odd.length)
    const counted = (reason: string) => metrics.value('taskiq_telemetry_errors_total', { part: 'send', reason })
    expect(await counted('middleware')).toBe(3)
    expect(await counted('next_not_called')).toBe(4)
  })

  it('throws what the channel throws, and its span says so', async () => {
    const { spans, t, faults } = await record()
    const channel = await openChannel()
    const caught = (fn: () => unknown): Error => {
      try {
        fn()
      } catch (error) {
        return error as Error
      }
      throw new Error('It did not throw.')
    }
    const { publish, sendToQueue } = amqp(t)
    const wrong = 'a text' as unknown as Buffer
    const plain = caught(() => channel.publish('', 'q', wrong))
    expect(caught(() => publish(channel, '', 'q', wrong))).toEqual(plain)
    const badTime = { timestamp: 1.5 }
    expect(caught(() => publish(channel, '', 'q', body, badTime))).toEqual(
      caught(() => channel.publish('', 'q', body, badTime)),
    )
    await channel.close()
    const closed = caught(() => channel.sendToQueue('q', body))
    expect(caught(() => sendToQueue(channel, 'q', body))).toMatchObject({ name: closed.name, message: closed.message })
    const sends = await spans.waitFor('send q', 3)
    expect(sends.map(({ status }) => status)).toEqual(['error', 'error', 'error'])
    expect(sends[2]?.attributes['error.type']).toBe('IllegalOperationError')
    expect(await faults()).toBe(0)
  })

  it('leaves its own headers out where they would be what makes the headers too large', async () => {
    const { t, faults } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const headers = { large: 'x'.repeat(65_000) }
    channel.publish('', queue, body, { headers: { ...headers, more: 'x'.repeat(480) } })
    amqp(t).publish(channel, '', queue, body, { headers: { ...headers, more: 'x'.repeat(480) } })
    const [plain, ours] = await receive(queue, 2)
    expect(ours?.properties).toEqual(plain?.properties)
    expect(await faults()).toBe(1)
    expect(() => amqp(t).publish(channel, '', queue, body, { headers: { large: 'x'.repeat(70_000) } })).toThrow(
      RangeError,
    )
    expect(await faults()).toBe(1)
  })

  it('carries the allowed correlation keys into the task, and no other baggage', async () => {
    const { spans, logs, t } = await record({ correlation: ['request_id'] })
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const { consume, publish } = amqp(t)
    await consume(channel, queue, () => {})
    bind({ request_id: 'r-7', session: 'secret' }, () => publish(channel, '', queue, body, { type: 'save' }))
    const task = await spans.waitFor('taskiq.save')
    expect(task.attributes.request_id).toBe('r-7')
    expect(spans.one(`send ${queue}`).attributes.request_id).toBe('r-7')
    expect(task.attributes).not.toHaveProperty('session')
    expect(logs.named('task.succeeded')).toMatchObject([{ request_id: 'r-7' }])
  })
})

describe('publish on a confirm channel', () => {
  it('ends its span with the answer of the broker, and calls back as amqplib does', async () => {
    const { spans, t } = await record()
    const channel = await openConfirmChannel()
    const queue = await makeQueue(channel)
    const answered = latch<unknown[]>()
    amqp(t).publish(channel, '', queue, body, {}, (...args: unknown[]) => {
      expect(spans.named(`send ${queue}`)).toEqual([])
      answered.open(args)
    })
    expect(spans.open).toEqual([`send ${queue}`])
    expect(await answered.promise).toEqual([null])
    expect((await spans.waitFor(`send ${queue}`)).status).toBe('unset')
    amqp(t).sendToQueue(channel, queue, body)
    await channel.waitForConfirms()
    await spans.waitFor(`send ${queue}`, 2)
    expect(spans.open).toEqual([])
  })

  it('fails the span, the callback and waitForConfirms when the broker nacks, and rejects nothing unhandled', async () => {
    const { spans, metrics, t, faults } = await record()
    const channel = await openConfirmChannel()
    const queue = await makeQueue(channel, { maxLength: 1, overflow: 'reject-publish' })
    const { publish, sendToQueue } = amqp(t)
    const answers: unknown[] = []
    publish(channel, '', queue, body, {}, (error) => answers.push(error))
    await channel.waitForConfirms()
    publish(channel, '', queue, body, {}, (error) => answers.push(error))
    await expect(channel.waitForConfirms()).rejects.toThrow('message nacked')
    sendToQueue(channel, queue, body)
    await expect(channel.waitForConfirms()).rejects.toThrow('message nacked')
    expect(answers).toEqual([null, expect.objectContaining({ message: 'message nacked' })])
    await spans.waitFor(`send ${queue}`, 3)
    expect(spans.named(`send ${queue}`).map(({ status }) => status)).toEqual(['unset', 'error', 'error'])
    expect(await metrics.value('taskiq_messages_sent_total', { queue })).toBe(1)
    expect(await faults()).toBe(0)
  })

  it('rejects nothing unhandled where a middleware never asks how the send ended', async () => {
    const channel = await openConfirmChannel()
    const queue = await makeQueue(channel, { maxLength: 1, overflow: 'reject-publish' })
    const { publish } = amqp(async () => undefined)
    const rejections = await unhandled(async () => {
      for (let n = 0; n < 2; n++) publish(channel, '', queue, body)
      await expect(channel.waitForConfirms()).rejects.toThrow('message nacked')
    })
    expect(rejections).toEqual([])
  })

  it('leaves no span open when the channel closes before the answer', async () => {
    const { spans, t } = await record()
    const channel: ConfirmChannel = await openConfirmChannel()
    const closed = latch<unknown>()
    amqp(t).publish(channel, 'no such exchange', 'key', body, {}, (error) => closed.open(error))
    expect(await closed.promise).toMatchObject({ message: 'channel closed' })
    expect((await spans.waitFor('send no such exchange')).status).toBe('error')
    expect(spans.open).toEqual([])
  })
})

describe('a reply', () => {
  it("goes on with the caller's trace, and its queue is (anonymous)", async () => {
    const { spans, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const { consume, sendToQueue } = amqp(t)
    await consume(channel, queue, ({ properties: { replyTo, correlationId } }) => {
      sendToQueue(channel, replyTo as string, Buffer.from('done'), { correlationId: correlationId as string })
    })
    const replies = (await channel.assertQueue('', { exclusive: true })).queue
    const reply = latch<ConsumeMessage>()
    await consume(channel, replies, (message) => reply.open(message), { name: 'reply' })
    inRequest(() => sendToQueue(channel, queue, body, { replyTo: replies, correlationId: 'c-1', type: 'render' }))
    expect((await reply.promise).properties.correlationId).toBe('c-1')
    await spans.waitFor('taskiq.reply')
    expect(spans.outline()).toBe(
      `request\n  send ${queue}\n    taskiq.render\n      send (anonymous)\n        taskiq.reply`,
    )
    expect(spans.one('send (anonymous)').attributes['messaging.message.id']).toBe('c-1')
  })

  it('works over direct reply-to, which noAck and its pseudo queue demand', async () => {
    const { spans, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const { consume, sendToQueue } = amqp(t)
    await consume(channel, queue, ({ properties }) => {
      sendToQueue(channel, properties.replyTo as string, Buffer.from('done'))
    })
    await consume(channel, 'amq.rabbitmq.reply-to', () => {}, { noAck: true })
    inRequest(() => sendToQueue(channel, queue, body, { replyTo: 'amq.rabbitmq.reply-to', type: 'render' }))
    const reply = await spans.waitFor('taskiq.(anonymous)')
    expect(reply.parent?.name).toBe('send (anonymous)')
    expect(reply.parent?.parent?.name).toBe('taskiq.render')
  })
})

describe('inject', () => {
  it('continues the trace without a span of its own; options are copied', async () => {
    const { spans, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    await amqp(t).consume(channel, queue, () => {})
    const options = Object.freeze({ type: 'save', headers: Object.freeze({ a: 1 }) })
    inRequest(() => channel.publish('', queue, body, inject(options)))
    await spans.waitFor('taskiq.save')
    expect(spans.outline()).toBe('request\n  taskiq.save')
    expect(options.headers).toEqual({ a: 1 })
    expect(inject()).toEqual({})
  })

  it('marks a run of a schedule: cron, a trace of its own linked to the scheduler, id and time', async () => {
    const { spans, metrics, logs, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    await amqp(t).consume(channel, queue, () => {})
    const from = Date.now()
    const names = ['tick', 'tick']
    for (const type of names) {
      inRequest(() => channel.publish('', queue, body, inject({ type }, { schedule: 'nightly' })))
    }
    const runs = await spans.waitFor('taskiq.tick', 2)
    const requests = spans.named('request')
    expect(new Set([...runs, ...requests].map(({ traceId }) => traceId)).size).toBe(4)
    expect(runs.map(({ links }) => links.map(({ spanId }) => spanId))).toEqual(requests.map(({ spanId }) => [spanId]))
    const [run] = runs
    expect(run?.attributes).toMatchObject({ task_type: 'cron', 'taskiq.schedule.id': 'nightly' })
    const time = Date.parse(String(run?.attributes['taskiq.schedule.time']))
    expect(time).toBeGreaterThanOrEqual(from)
    expect(time).toBeLessThanOrEqual(Date.now())
    expect(run?.attributes['taskiq.schedule.drift_ms']).toBeLessThan(5_000)
    expect(await metrics.value('taskiq_tasks_total', { task_type: 'cron', task_name: 'tick' })).toBe(2)
    expect(await metrics.value('taskiq_cron_last_success_timestamp_seconds', { schedule: 'nightly' })).toBeGreaterThan(
      0,
    )
    expect(await metrics.value('taskiq_cron_drift_seconds_count', { schedule: 'nightly' })).toBe(2)
    expect(logs.named('task.succeeded')[0]).toMatchObject({ task_type: 'cron', schedule_id: 'nightly' })
  })
})

describe('the types', () => {
  it('are those of the channel that is given', async () => {
    const channel = await openChannel()
    const { publish, sendToQueue } = amqp()
    const queue = queueName()
    const given: boolean = publish(channel, '', queue, body, { persistent: true })
    expect(given).toBe(true)
    const wrong = (confirming: ConfirmChannel, plain: Channel): void => {
      // @ts-expect-error: a text is no content
      publish(plain, '', queue, 'text')
      // @ts-expect-error: no such option
      publish(plain, '', queue, body, { persistant: true })
      // @ts-expect-error: only a confirm channel calls back
      publish(plain, '', queue, body, {}, () => {})
      // @ts-expect-error: a queue has a name
      sendToQueue(plain, 7, body)
      // @ts-expect-error: nothing that publishes
      publish({}, '', queue, body)
      publish(confirming, '', queue, body, {}, (error) => error)
    }
    expect(wrong).toBeTypeOf('function')
    expect(context.active()).toBeDefined()
  })
})
