// A RabbitMQ consumer: acks, dead letters, a message that stays unsettled, and what the broker reports.
import { connect } from 'amqplib'
import { amqp } from 'taskspan/amqp'
import { watch } from 'taskspan/watch'
import { did, member, on, sleep, tell } from './member.ts'

// More tiers than a label of one's own may have values.
const { place, t, open } = member('mail', { labels: { tier: ({ message }) => tierOf(message) } })

function tierOf(message: unknown): string | undefined {
  const { properties } = message as { properties?: { headers?: { tier?: string } } }
  return properties?.headers?.tier
}

const connection = await connect(place.amqp)
const channel = await connection.createChannel()
await channel.assertQueue('orders-dlq')
const deadLetter = { deadLetterExchange: '', deadLetterRoutingKey: 'orders-dlq' }
await channel.assertQueue('orders', deadLetter)
await channel.assertQueue('returns', { maxPriority: 10 })
await channel.assertQueue('temporary')

const { consume, sendToQueue, observe } = amqp(t)
const handle = async ({ properties, content }: { properties: { type: string }; content: Buffer }): Promise<void> => {
  if (properties.type === 'hold_order') return new Promise(() => {})
  const n = Number(content.toString())
  await sleep(10 + (n % 4) * 20)
  if (n % 6 === 0) {
    did('mail_order failure')
    throw new SyntaxError('no address')
  }
  did('mail_order success')
}
await consume(channel, 'orders', handle, { prefetch: 6 })
const temporary = await connection.createChannel()
await consume(temporary, 'temporary', () => {})
observe(channel)

on('go', async () => {
  await channel.deleteQueue('temporary') // its consumer is cancelled
  sendToQueue(channel, 'nowhere', Buffer.from('0'), { type: 'mail_order', mandatory: true }) // comes back
  did('sent nowhere')
})
on('size', async () => {
  const [returns, dead] = await Promise.all(['returns', 'orders-dlq'].map((queue) => channel.checkQueue(queue)))
  tell({ size: { returns: { waiting: returns?.messageCount }, 'orders-dlq': { waiting: dead?.messageCount } } })
})

const watching = watch({
  telemetry: t,
  rabbitmq: {
    connection: place.amqp,
    queues: ['orders', 'orders-dlq', 'returns'],
    managementUrl: place.management,
  },
  priorities: [0, 5],
  intervalMs: 500,
})
await open(watching)
