// Connections, channels and queues of one test on the run's RabbitMQ, closed when the test ends.
import { randomBytes } from 'node:crypto'
import {
  type Channel,
  type ChannelModel,
  type ConfirmChannel,
  type ConsumeMessage,
  connect,
  type GetMessage,
  type Options,
} from 'amqplib'
import { onTestFinished } from 'vitest'
import { amqpUrl } from './rabbitmq.ts'

/** A connection that the test may lose: whatever happens to it is not an error of the test. */
export async function openConnection(url?: string): Promise<ChannelModel> {
  const connection = await connect(url ?? (await amqpUrl()))
  connection.on('error', () => {})
  onTestFinished(() => connection.close().catch(() => {}))
  return connection
}

/** A channel on a connection of its own, or on the one that the test has for everything else. */
export async function openChannel(connection?: ChannelModel): Promise<Channel> {
  return harmless(await (connection ?? (await ofThisTest())).createChannel())
}

export async function openConfirmChannel(connection?: ChannelModel): Promise<ConfirmChannel> {
  return harmless(await (connection ?? (await ofThisTest())).createConfirmChannel())
}

let shared: Promise<ChannelModel> | undefined

function ofThisTest(): Promise<ChannelModel> {
  if (shared === undefined) {
    shared = openConnection()
    onTestFinished(() => {
      shared = undefined
    })
  }
  return shared
}

function harmless<C extends Channel>(channel: C): C {
  channel.on('error', () => {})
  return channel
}

/** A queue name that no other test uses. */
export function queueName(stem = 'queue'): string {
  return `${stem}-${randomBytes(3).toString('hex')}`
}

/** A queue of its own for a test. */
export async function makeQueue(channel: Channel, options: Options.AssertQueue = {}, stem = 'queue'): Promise<string> {
  const { queue } = await channel.assertQueue(queueName(stem), { durable: false, ...options })
  return queue
}

/** A queue whose dead letters go to another one. */
export async function makeQueueWithDeadLetters(
  channel: Channel,
  options: Options.AssertQueue = {},
): Promise<{ queue: string; deadLetters: string }> {
  const deadLetters = await makeQueue(channel, {}, 'dead')
  const queue = await makeQueue(channel, {
    ...options,
    deadLetterExchange: '',
    deadLetterRoutingKey: deadLetters,
  })
  return { queue, deadLetters }
}

/** Everything that is ready in a queue, in order, taken out of it. */
export async function takeAll(queue: string): Promise<GetMessage[]> {
  const channel = await openChannel()
  const found: GetMessage[] = []
  for (;;) {
    const message = await channel.get(queue, { noAck: true })
    if (message === false) return found
    found.push(message)
  }
}

/** The next `count` messages of a queue, acked, with plain amqplib. */
export async function receive(queue: string, count: number): Promise<ConsumeMessage[]> {
  const channel = await openChannel()
  const found: ConsumeMessage[] = []
  await new Promise<void>((resolve, reject) => {
    const onMessage = (message: ConsumeMessage | null): void => {
      if (message === null) return reject(new Error(`The queue ${queue} is gone.`))
      channel.ack(message)
      if (found.push(message) === count) resolve()
    }
    channel.consume(queue, onMessage).catch(reject)
  })
  await channel.close()
  return found
}

/** A promise with its ends outside. */
export function latch<T = void>(): { promise: Promise<T>; open: (value: T) => void } {
  let open: (value: T) => void = () => {}
  const promise = new Promise<T>((resolve) => {
    open = resolve
  })
  return { promise, open }
}

/** Resolves when it was called `count` times. */
export function tally(count: number): { hit: () => void; reached: Promise<void> } {
  const { promise, open } = latch()
  let hits = 0
  return {
    hit() {
      hits++
      if (hits === count) open()
    },
    reached: promise,
  }
}

/** What rejects unhandled while `fn` runs, kept from failing the test run. */
export async function unhandled(fn: () => Promise<void>): Promise<unknown[]> {
  const usual = process.listeners('unhandledRejection')
  const caught: unknown[] = []
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', (reason) => caught.push(reason))
  try {
    await fn()
    await new Promise((resolve) => setImmediate(resolve)) // they are reported between two turns of the loop
  } finally {
    process.removeAllListeners('unhandledRejection')
    for (const listener of usual) process.on('unhandledRejection', listener)
  }
  return caught
}
