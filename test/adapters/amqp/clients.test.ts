// The clients people use: amqplib's callback API, its recovering connection, and amqp-connection-manager.
import { trace } from '@opentelemetry/api'
import { type ChannelWrapper, connect as connectManager } from 'amqp-connection-manager'
import { type Channel, type ChannelModel, type ConfirmChannel, type ConsumeMessage, connect } from 'amqplib'
import {
  type ConfirmChannel as CallbackConfirmChannel,
  type Connection,
  connect as connectByCallback,
} from 'amqplib/callback_api'
import { type AmqpConsumer, amqp } from 'taskspan/amqp'
import { describe, expect, it, onTestFinished } from 'vitest'
import { latch, openChannel, queueName, takeAll, tally, unhandled } from '../../support/amqp.ts'
import { amqpUrl } from '../../support/rabbitmq.ts'
import { record } from '../../support/record.ts'

const body = Buffer.from('{}')

const inRequest = <T>(fn: () => T): T =>
  trace.getTracer('test').startActiveSpan('request', (span) => {
    try {
      return fn()
    } finally {
      span.end()
    }
  })

/** Tears the connection below a channel, as a network does. */
function tear(channel: Channel | ConfirmChannel): void {
  const { connection } = channel as unknown as { connection: { stream: { destroy(error: Error): void } } }
  connection.stream.destroy(new Error('the cable is out'))
}

async function queueForever(): Promise<string> {
  const channel = await openChannel()
  const queue = queueName()
  await channel.assertQueue(queue, { durable: false })
  return queue
}

describe('the callback API', () => {
  async function callbackChannel(): Promise<CallbackConfirmChannel> {
    const url = await amqpUrl()
    const connection = await new Promise<Connection>((resolve, reject) => {
      connectByCallback(url, (error, opened) => (error ? reject(error) : resolve(opened)))
    })
    onTestFinished(() => new Promise<void>((resolve) => connection.close(() => resolve())))
    return new Promise((resolve, reject) => {
      connection.createConfirmChannel((error, opened) => (error ? reject(error) : resolve(opened)))
    })
  }

  it('consumes, drains and publishes with confirms', async () => {
    const { spans, t } = await record()
    const channel = await callbackChannel()
    const queue = await queueForever()
    const { consume, publish } = amqp(t)
    const finish = latch()
    const started = latch()
    const consumer = await consume(
      channel,
      queue,
      () => {
        started.open()
        return finish.promise
      },
      { prefetch: 1 },
    )
    expect(consumer.consumerTag).toMatch(/^amq\.ctag-/)
    const answers: unknown[][] = []
    inRequest(() => publish(channel, '', queue, body, { type: 'save' }, (...args: unknown[]) => answers.push(args)))
    await started.promise
    const closing = consumer.close()
    finish.open()
    await closing
    await spans.waitFor(`send ${queue}`)
    expect(answers).toEqual([[null]])
    expect(spans.outline()).toBe(`request\n  send ${queue}\n    taskiq.save`)
    expect(await takeAll(queue)).toEqual([])
  })

  it("rejects with the channel's own error where there is no such queue", async () => {
    const channel = await callbackChannel()
    channel.on('error', () => {})
    await expect(amqp().consume(channel, 'nowhere', () => {}, { prefetch: 1 })).rejects.toMatchObject({ code: 404 })
  })
})

describe("amqplib's recovering connection", () => {
  it('consumes anew from its setup, and each lost channel is told once', async () => {
    const { metrics, t } = await record()
    const queue = await queueForever()
    const seen = tally(2)
    const channels: Channel[] = []
    const ready = [latch(), latch()] as const
    const { consume } = amqp(t)
    const connection = await connect(await amqpUrl(), {
      recovery: {
        initialDelay: 10,
        setup: async (model: ChannelModel) => {
          const channel = await model.createChannel()
          await consume(channel, queue, seen.hit)
          ready[channels.push(channel) - 1]?.open()
        },
      },
    })
    onTestFinished(() => connection.close())
    connection.on('error', () => {})
    const publisher = await openChannel()
    await ready[0].promise
    publisher.sendToQueue(queue, body)
    tear(channels[0] as Channel)
    await ready[1].promise
    publisher.sendToQueue(queue, body)
    await seen.reached
    expect(await metrics.value('taskiq_broker_events_total', { queue, event: 'connection_closed' })).toBe(1)
    expect(await metrics.value('taskiq_broker_events_total', { queue, event: 'channel_closed' })).toBe(1)
  })
})

describe('amqp-connection-manager', () => {
  async function open(setup?: (channel: ConfirmChannel) => Promise<void>): Promise<ChannelWrapper> {
    const connection = connectManager([await amqpUrl()], {
      reconnectTimeInSeconds: 0.01,
      heartbeatIntervalInSeconds: 5,
    })
    const channel = connection.createChannel({ ...(setup && { setup }) })
    onTestFinished(() => connection.close())
    await channel.waitForConnect()
    return channel
  }

  it('publishes through its wrapper: the answer is its own, the span ends with it', async () => {
    const { spans, metrics, t } = await record()
    const channel = await open()
    const queue = await queueForever()
    const { publish, sendToQueue } = amqp(t)
    const sent: Promise<boolean> = inRequest(() => publish(channel, '', queue, body, { persistent: true }))
    expect(await sent).toBe(true)
    expect(await sendToQueue(channel, queue, body)).toBe(true)
    await spans.waitFor(`send ${queue}`, 2)
    const [message] = await takeAll(queue)
    expect(message?.properties.headers?.traceparent).toContain(spans.named(`send ${queue}`)[0]?.spanId)
    expect(await metrics.value('taskiq_messages_sent_total', { queue })).toBe(2)
  })

  it('leaves a rejection that nobody handles unhandled', async () => {
    const { spans, t } = await record()
    const channel = await open()
    const publish = amqp(t).publish
    const rejections = await unhandled(async () => {
      void publish(channel, '', 'nowhere', body, { timeout: 1 })
      await channel.close()
      await spans.waitFor('send nowhere')
    })
    expect(rejections).toHaveLength(1)
    expect(spans.one('send nowhere').status).toBe('error')
  })

  it('rejects as it does without us, and that is no fault of telemetry', async () => {
    const { spans, t, faults } = await record()
    const channel = await open()
    await channel.close()
    const late = await open()
    const sending = amqp(t).publish(late, 'no such exchange', 'key', body, { timeout: 50 })
    await expect(sending).rejects.toThrow()
    expect((await spans.waitFor('send no such exchange')).status).toBe('error')
    expect(await faults()).toBe(0)
  })

  it('consumes in its setup, again after each reconnect; a message that was running is acked where it runs next', async () => {
    const { metrics, t } = await record()
    const queue = await queueForever()
    const consumers: AmqpConsumer[] = []
    const raw: ConfirmChannel[] = []
    const deliveries: ConsumeMessage[] = []
    const first = latch()
    const finishFirst = latch()
    const second = latch()
    const { consume, publish } = amqp(t)
    const channel = await open(async (channel) => {
      raw.push(channel)
      consumers.push(
        await consume(channel, queue, async (message) => {
          if (deliveries.push(message) > 1) return second.open()
          first.open()
          await finishFirst.promise
        }),
      )
    })
    await publish(channel, '', queue, body)
    await first.promise
    tear(raw[0] as ConfirmChannel)
    await second.promise
    expect(deliveries.map(({ fields }) => fields.redelivered)).toEqual([false, true])
    finishFirst.open()
    await Promise.all(consumers.map((consumer) => consumer.close()))
    // The late ack of the first did not reach the new channel, which it would have closed.
    expect(raw).toHaveLength(2)
    await channel.checkQueue(queue)
    expect(await metrics.value('taskiq_broker_events_total', { queue, event: 'settle_failed' })).toBe(1)
    await channel.close()
    expect(await takeAll(queue)).toEqual([])
  })

  it('consumes through its wrapper with a wrapped handler that settles there', async () => {
    const { spans, t } = await record()
    const channel = await open()
    const queue = await queueForever()
    const two = tally(2)
    const handled: boolean[] = []
    await channel.consume(
      queue,
      amqp(t).wrap(
        (message: ConsumeMessage) => {
          handled.push(message.fields.redelivered)
          two.hit()
          if (!message.fields.redelivered) throw new Error('once more')
        },
        { queue, channel, requeue: 'once' },
      ),
    )
    await channel.sendToQueue(queue, body)
    await two.reached
    await spans.waitFor(`taskiq.${queue}`, 2)
    await channel.cancelAll()
    await channel.close()
    expect(handled).toEqual([false, true])
    expect(await takeAll(queue)).toEqual([])
  })
})
