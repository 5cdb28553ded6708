// A lane on RabbitMQ: what its channels are told is written down, and what is left in the queues is counted by a plain client.
import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Message as AmqpMessage, ChannelModel, ConfirmChannel, ConsumeMessage, GetMessage, Options } from 'amqplib'
import type { Instrumented } from '../contenders/contender.ts'
import { plain } from '../contenders/plain.ts'
import type { BrokerUrls } from '../fault.ts'
import type { Fate, Lane, Message, Sender, Stored } from './lane.ts'
import { Waiting } from './waiting.ts'

export async function rabbitmqLane({ amqp }: BrokerUrls, by: Instrumented): Promise<Lane> {
  const admin = await connected(plain, amqp)
  const channel = await opened(admin)
  const queue = `clips-${randomBytes(3).toString('hex')}`
  const dead = `${queue}-dead`
  await channel.assertQueue(dead, { durable: false, autoDelete: false })
  await channel.assertQueue(queue, { durable: false, deadLetterExchange: '', deadLetterRoutingKey: dead })
  const connections: ChannelModel[] = []
  const runs = new Map<string, number>()
  const told = new Map<string, string[]>()
  const endings = new Waiting()
  const tell = (message: AmqpMessage, word: string): void => {
    const id = String(message.properties.messageId)
    told.set(id, [...(told.get(id) ?? []), word])
    if (word !== 'requeue') endings.open(id)
  }
  let sending: Promise<ConfirmChannel> | undefined
  const sender = (): Promise<ConfirmChannel> => {
    sending ??= connected(by, amqp).then((connection) => {
      connections.push(connection)
      return opened(connection)
    })
    return sending
  }
  // Resolves with the broker's answer, which must come once.
  const publish = async (content: Buffer, options: Options.Publish): Promise<void> => {
    const to = await sender()
    let answers = 0
    await new Promise<void>((resolve, reject) => {
      by.publish(to, queue, content, options, (error) => {
        answers++
        if (error === null || error === undefined) resolve()
        else reject(error)
      })
    })
    await to.waitForConfirms()
    if (answers !== 1) throw new Error(`the broker's answer came ${answers} times`)
  }

  const look = async (id: string): Promise<Fate> => {
    const words = told.get(id) ?? []
    const last = words.at(-1)
    return { end: last === 'ack' ? 'done' : last === 'drop' ? 'given up' : 'open', told: words }
  }
  const stop = async (): Promise<void> => {
    await Promise.all(connections.splice(0).map((connection) => connection.close().catch(() => {})))
  }
  return {
    queue,
    runs,
    look,
    stop,
    async work(handler, { concurrency = 1 } = {}) {
      const connection = await connected(by, amqp)
      connections.push(connection)
      const consuming = await opened(connection)
      overhear(consuming, tell)
      await consuming.prefetch(concurrency)
      const onMessage = ({ properties, content }: ConsumeMessage): unknown => {
        const id = String(properties.messageId)
        const attempt = (runs.get(id) ?? 0) + 1
        runs.set(id, attempt)
        const body: unknown = JSON.parse(content.toString())
        return handler({ id, name: String(properties.type), body, attempt, cancel() {} })
      }
      const again = ({ properties, fields }: ConsumeMessage): boolean => {
        if (properties.headers?.attempts === 0) throw new Error('the requeue policy broke')
        return properties.headers?.attempts === 2 && !fields.redelivered
      }
      await by.consume(consuming, queue, onMessage, again)
    },
    async put(...messages) {
      for (const message of messages) plain.publish(channel, queue, bodyOf(message), optionsOf(message))
      await channel.waitForConfirms()
    },
    async send(message) {
      await publish(bodyOf(message), optionsOf(message))
    },
    async ended(id) {
      await endings.of(id)
      return look(id)
    },
    async outcome(id) {
      await endings.of(id)
      return look(id)
    },
    stored: () => taken(channel, queue),
    count: async () => (await channel.checkQueue(queue)).messageCount,
    senders: sendersOf(publish, by, (content, options) => {
      plain.publish(channel, queue, content, options)
      return channel.waitForConfirms()
    }),
    picky: pickySendersOf(publish),
    scrape: by.scrape,
    async close() {
      await stop()
      await channel.deleteQueue(queue)
      await channel.deleteQueue(dead)
      await admin.close()
    },
  }
}

type Publish = (content: Buffer, options: Options.Publish) => Promise<void>

function sendersOf(publish: Publish, { byHand }: Instrumented, plainly: Publish): Sender[] {
  const body = Buffer.from('{}')
  const injected = byHand && (() => plainly(body, byHand.inject({ messageId: 'injected', type: 'render' })))
  return [
    { title: 'publish()', ids: ['published'], send: () => publish(body, { messageId: 'published', type: 'render' }) },
    ...(injected ? [{ title: 'inject()', ids: ['injected'], send: injected }] : []),
  ]
}

// The caller's options may be frozen, or shared between messages.
function pickySendersOf(publish: Publish): Sender[] {
  const body = Buffer.from('{}')
  const frozen = Object.freeze({ messageId: 'frozen', type: 'render', headers: Object.freeze({ a: 1 }) })
  const shared = { type: 'render', messageId: 'shared', headers: { a: 1 } }
  const before = structuredClone(shared)
  const twice = async (): Promise<void> => {
    await publish(body, shared)
    await publish(body, shared)
    if (!isDeepStrictEqual(shared, before)) throw new Error(`the caller's options are now ${JSON.stringify(shared)}`)
  }
  return [
    { title: 'publish() with frozen options', ids: ['frozen'], send: () => publish(body, frozen) },
    { title: 'publish() with shared options', ids: ['shared', 'shared'], send: twice },
  ]
}

async function connected(by: Instrumented, url: string): Promise<ChannelModel> {
  const connection = await by.connect(url)
  connection.on('error', () => {})
  return connection
}

async function opened(connection: ChannelModel): Promise<ConfirmChannel> {
  const channel = await connection.createConfirmChannel()
  channel.on('error', () => {})
  return channel
}

function overhear(channel: ConfirmChannel, tell: (message: AmqpMessage, word: string) => void): void {
  const { ack, nack } = channel
  channel.ack = (...args: Parameters<typeof ack>) => {
    ack.apply(channel, args)
    tell(args[0], 'ack')
  }
  channel.nack = (...args: Parameters<typeof nack>) => {
    nack.apply(channel, args)
    tell(args[0], args[2] === false ? 'drop' : 'requeue')
  }
}

async function taken(channel: ConfirmChannel, queue: string): Promise<Stored[]> {
  const found: GetMessage[] = []
  for (;;) {
    const message = await channel.get(queue, { noAck: true })
    if (message === false) break
    found.push(message)
  }
  return found.map(({ properties, content }) => ({
    id: String(properties.messageId),
    name: String(properties.type),
    body: JSON.parse(content.toString()) as unknown,
    beside: JSON.stringify(properties.headers),
  }))
}

const bodyOf = ({ body }: Message): Buffer => Buffer.from(JSON.stringify(body ?? {}))

function optionsOf({ id, name, carrier, raw, attempts }: Message) {
  const headers = { ...((carrier ?? raw ?? {}) as object), ...(attempts !== undefined && { attempts }) }
  return { messageId: id, type: name ?? 'render', headers }
}
