// What happens outside of any message: counted, logged, told to the handle; amqplib and the broker behave as without us.
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Channel, ChannelModel } from 'amqplib'
import { type AmqpEvent, type AmqpNotice, type AmqpObservation, amqp } from 'taskspan/amqp'
import { describe, expect, it } from 'vitest'
import { latch, makeQueue, openChannel, openConnection, takeAll } from '../../support/amqp.ts'
import { rabbitMqManagementUrl } from '../../support/rabbitmq.ts'
import { record } from '../../support/record.ts'

const EVENTS: AmqpEvent[] = [
  'consumer_cancelled',
  'channel_closed',
  'connection_closed',
  'blocked',
  'unblocked',
  'returned',
  'settle_failed',
]

/** Everything that a handle is told, in order. */
function listenTo(handle: AmqpObservation): AmqpNotice[] {
  const told: AmqpNotice[] = []
  for (const event of EVENTS) handle.on(event, (notice) => told.push(notice))
  return told
}

const next = (handle: AmqpObservation, event: AmqpEvent): Promise<AmqpNotice> =>
  new Promise((resolve) => handle.on(event, resolve))

describe('a consumer that the broker cancels', () => {
  it('is counted, logged and told, and its handler is not called with null', async () => {
    const { metrics, logs, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const seen: unknown[] = []
    const consumer = await amqp(t).consume(channel, queue, (message) => seen.push(message))
    const told = listenTo(consumer)
    const cancelled = next(consumer, 'consumer_cancelled')
    await channel.deleteQueue(queue)
    expect(await cancelled).toEqual({ event: 'consumer_cancelled', queue, error: undefined })
    expect(seen).toEqual([])
    expect(told.map(({ event }) => event)).toEqual(['consumer_cancelled'])
    const labels = { queue, event: 'consumer_cancelled' }
    expect(await metrics.value('taskiq_broker_events_total', labels)).toBe(1)
    expect(logs.named('broker.consumer_cancelled')).toMatchObject([{ level: 'warning', queue }])
    // The channel lives on, as with plain amqplib, and closing a cancelled consumer is no error.
    await consumer.close()
    await makeQueue(channel)
  })

  it('is passed on as null by wrap, as plain amqplib does it', async () => {
    const { metrics, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const cancelled = latch<unknown>()
    const wrapped = amqp(t).wrap((message) => cancelled.open(message), { queue })
    await channel.consume(queue, wrapped)
    await channel.deleteQueue(queue)
    expect(await cancelled.promise).toBeNull()
    expect(await metrics.value('taskiq_broker_events_total', { queue, event: 'consumer_cancelled' })).toBe(1)
  })
})

describe('a channel that closes', () => {
  it('by an error of the broker: told with the error, once per consumer; amqplib says the same as without us', async () => {
    const { metrics, logs, t, faults } = await record()
    const plain = await openChannel()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const consumer = await amqp(t).consume(channel, queue, () => {})
    const told = listenTo(consumer)
    const closed = next(consumer, 'channel_closed')
    const heard = [plain, channel].map((on) => once(on, 'error').then(([error]) => error as Error))
    for (const on of [plain, channel]) await on.checkQueue('nowhere').catch(() => {})
    const { error } = await closed
    const [withoutUs, withUs] = await Promise.all(heard)
    expect(withUs?.message).toBe(withoutUs?.message)
    expect(error).toBe(withUs)
    expect(told).toEqual([{ event: 'channel_closed', queue, error }])
    expect(await metrics.value('taskiq_broker_events_total', { queue, event: 'channel_closed' })).toBe(1)
    expect(logs.named('broker.channel_closed')).toMatchObject([{ queue, error: { code: '404' } }])
    await consumer.close()
    expect(await faults()).toBe(0)
  })

  it('by its owner: told without an error', async () => {
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const consumer = await amqp().consume(channel, queue, () => {})
    const closed = next(consumer, 'channel_closed')
    await channel.close()
    expect(await closed).toEqual({ event: 'channel_closed', queue, error: undefined })
  })

  it('while a handler runs: the failed ack is counted, never thrown, and the message is redelivered', async () => {
    const { metrics, spans, logs, t, faults } = await record()
    const channel = await openChannel()
    const admin = await openChannel()
    const queue = await makeQueue(admin)
    const started = latch()
    const finish = latch()
    const consumer = await amqp(t).consume(channel, queue, () => {
      started.open()
      return finish.promise
    })
    admin.sendToQueue(queue, Buffer.from('1'))
    await started.promise
    const failed = next(consumer, 'settle_failed')
    await channel.close()
    finish.open()
    expect((await failed).error).toBeInstanceOf(Error)
    expect(spans.spans.map(({ attributes }) => attributes['taskiq.outcome'])).toEqual(['success'])
    expect(await metrics.value('taskiq_broker_events_total', { queue, event: 'settle_failed' })).toBe(1)
    expect(logs.named('broker.settle_failed')).toHaveLength(1)
    expect((await takeAll(queue)).map(({ fields }) => fields.redelivered)).toEqual([true])
    expect(await faults()).toBe(0)
    await consumer.close()
  })

  it('without an error listener ends the connection exactly as it does without us', async () => {
    const closes = await Promise.all(
      [false, true].map(async (ours) => {
        const connection = await openConnection()
        const channel = await connection.createChannel() // nobody listens to its errors
        const queue = await makeQueue(channel)
        if (ours) await amqp().consume(channel, queue, () => {})
        else await channel.consume(queue, () => {})
        const ended = new Promise((resolve) => connection.on('close', resolve))
        const errors: string[] = []
        connection.on('error', (error: Error) => errors.push(error.message))
        channel.ack({ fields: { deliveryTag: 99 } } as never)
        await ended
        return errors
      }),
    )
    expect(closes[1]).toEqual(closes[0])
  })
})

describe('a connection that drops', () => {
  it('is told after its channels, with the reason, to each consumer', async () => {
    const { metrics, t } = await record()
    const connection = await openConnection()
    const channels = [await openChannel(connection), await openChannel(connection)]
    const queues = await Promise.all(channels.map((channel) => makeQueue(channel)))
    const { consume } = amqp(t)
    const consumers = await Promise.all(channels.map((channel, at) => consume(channel, queues[at] as string, () => {})))
    const told = consumers.map(listenTo)
    const ended = consumers.map((consumer) => next(consumer, 'connection_closed'))
    socketOf(connection).destroy(new Error('the cable is out'))
    await Promise.all(ended)
    for (const notices of told) {
      expect(notices.map(({ event }) => event)).toEqual(['channel_closed', 'connection_closed'])
      for (const { error } of notices) expect((error as Error).message).toBe('the cable is out')
    }
    for (const queue of queues) {
      for (const event of ['channel_closed', 'connection_closed']) {
        expect(await metrics.value('taskiq_broker_events_total', { queue, event })).toBe(1)
      }
    }
  })

  it('by the operator of the broker: told with what the operator said', async () => {
    const { logs, t } = await record()
    const connection = await openConnection()
    const channel = await openChannel(connection)
    const queue = await makeQueue(channel)
    const consumer = await amqp(t).consume(channel, queue, () => {})
    const closed = next(consumer, 'connection_closed')
    await closeByOperator(connection)
    expect(((await closed).error as Error).message).toContain('CONNECTION_FORCED')
    expect(logs.named('broker.connection_closed')).toMatchObject([{ queue, error: { code: '320' } }])
    await consumer.close()
  })

  it('that is blocked and unblocked is told to each consumer on it', async () => {
    const { metrics, t } = await record()
    const channel = await openChannel(await openConnection())
    const queue = await makeQueue(channel)
    const consumer = await amqp(t).consume(channel, queue, () => {})
    const told = listenTo(consumer)
    // What amqplib emits for `connection.blocked`: the alarm itself would stop every other test on this broker.
    const below = channel.connection as unknown as Channel
    below.emit('blocked', 'low on memory')
    below.emit('unblocked')
    expect(told).toEqual([
      { event: 'blocked', queue, error: 'low on memory' },
      { event: 'unblocked', queue, error: undefined },
    ])
    expect(await metrics.value('taskiq_broker_events_total', { queue, event: 'blocked' })).toBe(1)
  })
})

describe('a message that no queue wants', () => {
  it('comes back, is counted under its destination, and amqplib returns it as without us', async () => {
    const { metrics, logs, t } = await record()
    const channel = await openChannel()
    const returned = once(channel, 'return')
    amqp(t).publish(channel, '', 'nowhere', Buffer.from('1'), { mandatory: true, messageId: 'm-3' })
    const [message] = await returned
    expect(message).toMatchObject({ fields: { replyCode: 312 }, properties: { messageId: 'm-3' } })
    expect(await metrics.value('taskiq_broker_events_total', { queue: 'nowhere', event: 'returned' })).toBe(1)
    expect(logs.named('broker.returned')).toMatchObject([{ queue: 'nowhere' }])
  })

  it('is counted once, however many listen on its channel', async () => {
    const { metrics, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const { consume, observe, publish } = amqp(t)
    const handles = [await consume(channel, queue, () => {}), observe(channel), observe(channel, { queue: 'mine' })]
    const told = handles.map(listenTo)
    await channel.assertExchange('lonely', 'fanout', { durable: false })
    const returned = once(channel, 'return')
    publish(channel, 'lonely', 'key', Buffer.from('1'), { mandatory: true })
    await returned
    expect(told.map((notices) => notices.map(({ event }) => event))).toEqual([['returned'], ['returned'], ['returned']])
    expect(await metrics.series('taskiq_broker_events_total')).toMatchObject([
      { labels: { queue: 'lonely', event: 'returned' }, value: 1 },
    ])
  })
})

describe('observe', () => {
  it('tells what happens to a channel that only publishes, until it is closed', async () => {
    const { metrics, t } = await record()
    const channel = await openChannel()
    const before = channel.eventNames().map((name) => [name, channel.listenerCount(name)])
    const watched = amqp(t).observe(channel)
    expect(watched.queue).toBe('(publisher)')
    const closed = next(watched, 'channel_closed')
    await watched.close()
    expect(channel.eventNames().map((name) => [name, channel.listenerCount(name)])).toEqual(before)

    const again = amqp(t).observe(channel)
    const told = next(again, 'channel_closed')
    await channel.close()
    await told
    expect(await metrics.value('taskiq_broker_events_total', { queue: '(publisher)', event: 'channel_closed' })).toBe(1)
    expect(await Promise.race([closed, Promise.resolve('silent')])).toBe('silent')
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('listener')
      },
    ],
    ['rejects', () => Promise.reject(new Error('listener'))],
  ])('survives a listener that %s: it is counted', async (_, listener) => {
    const { t, faults } = await record()
    const channel = await openChannel()
    const watched = amqp(t).observe(channel)
    const told = latch()
    watched.on('channel_closed', listener)
    const off = watched.on('channel_closed', () => {
      throw new Error('taken off')
    })
    off()
    watched.on('channel_closed', () => told.open())
    await channel.close()
    await told.promise
    expect(await faults()).toBe(1)
  })
})

describe('a dead channel', () => {
  it('is kept by nothing of ours: not by the handle, not by amqp(), not by a handler that still runs', async () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    const { t } = await record()
    const made = amqp(t)
    const kept: unknown[] = [made]
    const finish = latch()

    const run = async (): Promise<WeakRef<Channel>> => {
      const connection = await openConnection()
      const channel = await openChannel(connection)
      const queue = await makeQueue(channel)
      const started = latch()
      const consumer = await made.consume(channel, queue, () => {
        started.open()
        return finish.promise
      })
      kept.push(consumer, made.observe(channel))
      made.publish(channel, '', queue, Buffer.from('1'), { mandatory: true })
      await started.promise
      const gone = next(consumer, 'channel_closed')
      await connection.close()
      await gone
      return new WeakRef(channel)
    }
    const channel = await run()
    for (let n = 0; n < 50 && channel.deref() !== undefined; n++) {
      await new Promise((resolve) => setImmediate(resolve)) // a WeakRef holds on until the turn ends
      gc()
    }
    expect(channel.deref()).toBeUndefined()
    expect(kept).toHaveLength(3)
    finish.open()
  })
})

interface Below {
  readonly stream: Socket
}

const socketOf = (connection: ChannelModel): Socket =>
  (connection as unknown as { connection: Below }).connection.stream

/** Closes a connection as an operator does in the management pages. */
async function closeByOperator(connection: ChannelModel): Promise<void> {
  const { localAddress, localPort, remoteAddress, remotePort } = socketOf(connection)
  const api = new URL(await rabbitMqManagementUrl())
  const name = encodeURIComponent(`${localAddress}:${localPort} -> ${remoteAddress}:${remotePort}`)
  const authorization = `Basic ${Buffer.from(`${api.username}:${api.password}`).toString('base64')}`
  const close = () => fetch(`${api.origin}/api/connections/${name}`, { method: 'DELETE', headers: { authorization } })
  // The API learns of a connection some seconds late, and nothing tells when.
  while ((await close()).status !== 204) await new Promise((resolve) => setTimeout(resolve, 100))
}
