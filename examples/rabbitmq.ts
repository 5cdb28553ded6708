// The RabbitMQ of these examples: AMQP_URL, or the one on this machine; with queues of its own that go with the connection.
import { randomBytes } from 'node:crypto'
import { type Channel, type ChannelModel, connect, type Options } from 'amqplib'

export interface RabbitMq {
  connection: ChannelModel
  channel: Channel
  /** Makes a queue that no other run uses, and gives its name. */
  queue(base: string, options?: Options.AssertQueue): Promise<string>
}

export const url = process.env.AMQP_URL || 'amqp://127.0.0.1:5672'

export async function rabbitMq(): Promise<RabbitMq> {
  try {
    const connection = await connect(url)
    const channel = await connection.createChannel()
    const run = randomBytes(3).toString('hex')
    async function queue(base: string, options: Options.AssertQueue = {}): Promise<string> {
      return (await channel.assertQueue(`${base}-${run}`, { exclusive: true, ...options })).queue
    }
    return { connection, channel, queue }
  } catch {
    console.error(`No RabbitMQ answers at ${URL.canParse(url) ? new URL(url).host : 'AMQP_URL'}.`)
    console.error(
      'Start one (docker run --rm -p 5672:5672 rabbitmq:4), or name yours: AMQP_URL=amqp://user:secret@host',
    )
    process.exit(1)
  }
}
