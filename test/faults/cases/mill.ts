// A mill for many tasks: one consumer under the contender, fed as fast as it takes them; nothing is kept of those that ended.
import { randomBytes } from 'node:crypto'
import type { ChannelModel, ConfirmChannel, ConsumeMessage } from 'amqplib'
import type { Job } from 'bullmq'
import { pino } from 'pino'
import type { Instrumented } from '../contenders/contender.ts'
import { CONTENDERS } from '../contenders/index.ts'
import { plain } from '../contenders/plain.ts'
import type { Bench } from '../fault.ts'
import { FakeChannel } from './channel.ts'
import { keepNoSpans } from './heap.ts'

/** What the nth task is called, and what it does. */
export interface Work {
  readonly name: (n: number) => string
  readonly handler: (n: number) => unknown
}

export interface Mill {
  /** Resolves when `count` more have ended, or hang as `hung` of them are meant to. */
  grind(count: number, hung?: number): Promise<void>
  readonly scrape: Instrumented['scrape']
}

// Lines are made in full, and go nowhere.
const logger = pino({ level: 'info' }, { write() {} })

const MILLS = { BullMQ: bullmqMill, RabbitMQ: rabbitmqMill, 'no broker': brokerlessMill }

export async function mill(bench: Bench, work: Work): Promise<Mill> {
  keepNoSpans()
  const by = CONTENDERS[bench.contender].instrument({ logger }, bench)
  const { grind } = await MILLS[bench.place](bench, by, work)
  return { grind, scrape: by.scrape }
}

type Grind = Pick<Mill, 'grind'>

/** Counts those that ended, and says when there are enough. */
class Ended {
  private left = 0
  private enough = (): void => {}

  one = (): void => {
    this.left--
    if (this.left === 0) this.enough()
  }

  of(count: number): Promise<void> {
    this.left += count
    return new Promise((resolve) => {
      this.enough = resolve
      if (this.left <= 0) resolve()
    })
  }
}

async function brokerlessMill(_: Bench, by: Instrumented, { name, handler }: Work): Promise<Grind> {
  const channel = new FakeChannel()
  const ended = new Ended()
  channel.onTold = ended.one
  await by.consume(
    channel.face,
    'clips',
    ({ fields }) => handler(fields.deliveryTag - 1),
    () => false,
  )
  let n = 0
  return {
    async grind(count, hung = 0) {
      const all = ended.of(count - hung)
      for (const until = n + count; n < until; n++) {
        const running = channel.deliver(messageOf(n, name(n)))
        if (hung === 0) await running
        else if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
      }
      await all
    },
  }
}

const messageOf = (n: number, type: string): ConsumeMessage =>
  ({
    fields: { consumerTag: 'ctag', deliveryTag: n + 1, redelivered: false, exchange: '', routingKey: 'clips' },
    properties: { type, messageId: String(n), headers: { traceparent: parentOf(n) }, timestamp: 1_700_000_000 },
    content: Buffer.alloc(0),
  }) as unknown as ConsumeMessage

const parentOf = (n: number): string => `00-${n.toString(16).padStart(32, 'a')}-${n.toString(16).padStart(16, 'b')}-01`

async function bullmqMill({ brokers, after }: Bench, by: Instrumented, { name, handler }: Work): Promise<Grind> {
  const own = { connection: { url: brokers.redis }, prefix: brokers.prefix }
  const clips = `clips-${randomBytes(3).toString('hex')}`
  const queue = plain.queue(clips, own)
  after(() => queue.obliterate({ force: true }).then(() => queue.close()))
  const ended = new Ended()
  const worker = by.worker(clips, async (job: Job) => handler(job.data.n), { ...own, concurrency: 50, drainDelay: 0.1 })
  for (const event of ['completed', 'failed'] as const) worker.on(event, ended.one)
  worker.on('error', () => {})
  after(() => worker.close(true))
  let n = 0
  const opts = { removeOnComplete: true, removeOnFail: true }
  return {
    async grind(count) {
      for (const until = n + count; n < until; ) {
        const some = Math.min(1_000, until - n)
        const all = ended.of(some)
        await queue.addBulk(
          Array.from({ length: some }, (_, at) => ({ name: name(n + at), data: { n: n + at }, opts })),
        )
        n += some
        await all
      }
    },
  }
}

async function rabbitmqMill(bench: Bench, by: Instrumented, { name, handler }: Work): Promise<Grind> {
  const [connection, channel, queue] = await queueUnder(bench, by)
  const sender = await connection.createConfirmChannel()
  await channel.prefetch(50)
  const ended = new Ended()
  heard(channel, ended.one)
  await by.consume(
    channel,
    queue,
    ({ properties }) => handler(Number(properties.messageId)),
    () => false,
  )
  let n = 0
  return {
    async grind(count) {
      for (const until = n + count; n < until; ) {
        const some = Math.min(1_000, until - n)
        const all = ended.of(some)
        for (let left = some; left > 0; left--, n++) {
          const options = { messageId: String(n), type: name(n), headers: { traceparent: parentOf(n) } }
          plain.publish(sender, queue, Buffer.from('{}'), options)
        }
        await all
      }
    },
  }
}

/** A connection and a channel of the contender's, and an empty queue that goes with the case. */
export async function queueUnder(
  { brokers, after }: Bench,
  by: Instrumented,
): Promise<readonly [ChannelModel, ConfirmChannel, string]> {
  const connection = await by.connect(brokers.amqp)
  connection.on('error', () => {})
  after(() => connection.close())
  const channel = await connection.createConfirmChannel()
  channel.on('error', () => {})
  const queue = `clips-${randomBytes(3).toString('hex')}`
  await channel.assertQueue(queue, { durable: false, autoDelete: false })
  after(() => channel.deleteQueue(queue))
  return [connection, channel, queue]
}

/** Calls `settled` after each ack and nack of a channel. */
export function heard(channel: ConfirmChannel, settled: () => void): void {
  const { ack, nack } = channel
  channel.ack = (...args: Parameters<typeof ack>) => {
    ack.apply(channel, args)
    settled()
  }
  channel.nack = (...args: Parameters<typeof nack>) => {
    nack.apply(channel, args)
    settled()
  }
}
