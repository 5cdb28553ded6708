// A RabbitMQ queue as the suite's channel; the same for every kind of client and queue.
import type { Message as AmqpMessage, ConsumeMessage, Options } from 'amqplib'
import type { Middleware } from 'taskspan'
import type { ConsumingChannel } from 'taskspan/amqp'
import type { Channel, Delivery, Fate, Harness, Message } from './harness.ts'

export interface Backend {
  readonly queue: string
  /** A channel of amqplib's, of whichever kind. */
  readonly channel: ConsumingChannel
  send(content: Buffer, options: Options.Publish): void
  /** How the handler gets to the queue: by `consume()`, or wrapped. */
  start(
    middleware: Middleware,
    handler: (message: ConsumeMessage) => unknown,
    requeue: (error: unknown, message: ConsumeMessage, attempt: number) => boolean,
  ): Promise<unknown>
  close(): Promise<void>
}

export function amqpChannel({ queue, channel, send, start, close }: Backend, middleware: Middleware): Channel {
  const fates: Fate[] = []
  const checks = new Set<() => void>()
  const add = (fate: Fate): void => {
    fates.push(fate)
    for (const check of checks) check()
  }
  // What the broker is told, in order; that it understands it alike is shown beside plain amqplib, in the adapter's tests.
  const { ack, nack } = channel
  channel.ack = (...args: Parameters<typeof ack>) => {
    ack.apply(channel, args)
    add('done')
  }
  channel.nack = (message: AmqpMessage, allUpTo?: boolean, requeue?: boolean) => {
    nack.call(channel, message, allUpTo, requeue)
    add(requeue === false ? 'given_up' : 'again')
  }

  return {
    queue,
    async consume(handler) {
      const attemptsOf = ({ properties }: ConsumeMessage): number => Number(properties.headers?.attempts ?? 1)
      await start(
        middleware,
        (message) => handler(deliveryOf(message)),
        (_, message, attempt) => attempt < attemptsOf(message),
      )
    },
    async publish({ name, body, headers, raw, attempts }: Message) {
      const carried = { ...(headers ?? (raw as object | undefined)), ...(attempts !== undefined && { attempts }) }
      send(Buffer.from(JSON.stringify(body ?? null)), { type: name, headers: carried })
    },
    settled(count) {
      return new Promise((resolve) => {
        const check = (): void => {
          if (fates.length < count) return
          checks.delete(check)
          resolve(fates.slice(0, count))
        }
        checks.add(check)
        check()
      })
    },
    close,
  }
}

function deliveryOf({ properties, content }: ConsumeMessage): Delivery {
  return { name: String(properties.type), body: JSON.parse(content.toString()) as unknown }
}

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

/** All that the suite must know of RabbitMQ but how to open it. */
export const amqpTraits: Omit<Harness, 'title' | 'open'> = {
  system: 'rabbitmq',
  defers: false,
  cancels: false,
  attributes: { 'messaging.rabbitmq.message.delivery_tag': 1 },
  hostile: [
    { title: 'bytes as traceparent', raw: { traceparent: Buffer.from(TRACEPARENT) } },
    { title: 'a decimal as traceparent', raw: { traceparent: { '!': 'decimal', value: { places: 1, digits: 15 } } } },
    { title: 'a time as traceparent', raw: { traceparent: { '!': 'timestamp', value: 1 } } },
    { title: 'a nested table as traceparent', raw: { traceparent: { traceparent: { traceparent: TRACEPARENT } } } },
    { title: '60,000 characters as traceparent', raw: { traceparent: TRACEPARENT.repeat(1_090) } },
  ],
}
