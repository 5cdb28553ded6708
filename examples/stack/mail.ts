// The demo's RabbitMQ consumer: it sends mails, and what it cannot send ends in the dead-letter queue.
import { setTimeout as work } from 'node:timers/promises'
import { connect } from 'amqplib'
import { amqp } from 'taskspan/amqp'
import { log } from 'taskspan/logging'
import { amqpUrl, begin, type Clip, serveUntilSignal, sometimes } from './process.ts'

class MailboxFull extends Error {
  override name = 'MailboxFull'
}

const begun = begin('mail')
const connection = await connect(amqpUrl)
const channel = await connection.createChannel()
await channel.assertQueue('mail.dlq', { durable: true })
await channel.assertQueue('mail', { durable: true, deadLetterExchange: '', deadLetterRoutingKey: 'mail.dlq' })

const { consume } = amqp(begun.t)
const consumer = await consume(
  channel,
  'mail',
  async ({ content }) => {
    const { clip } = JSON.parse(content.toString()) as Clip
    await work(20 + Math.random() * 80)
    if (sometimes(0.01)) throw new MailboxFull(`the owner of clip ${clip} has no room`)
    log().info({ clip }, 'mailed')
  },
  { prefetch: 5 },
)

const broker = { close: () => connection.close() }
const rabbitmq = { connection: amqpUrl, queues: ['mail', 'mail.dlq'] }
await serveUntilSignal(begun, [consumer], { rabbitmq }, [broker])
