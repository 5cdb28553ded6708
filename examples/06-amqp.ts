// RabbitMQ: ack, requeue once, dead letters, and what spans, lines and metrics say of them. Needs AMQP_URL or a RabbitMQ here.
// prints: send orders-.*✓
// prints: taskiq\.save_order .*✓
// prints: taskiq\.save_order .*↻ retry
// prints: taskiq\.save_order .*✗ failure #2
// prints: "outcome":"failure".*"reason":"nacked without requeue: dead-lettered
// prints: taskiq_tasks_total\{.*outcome="success"\} 1
// prints: taskiq_messages_dead_lettered_total\{queue="orders-.*"\} 1
// prints: ^dead letter: \{"order":8\}
import { register } from 'prom-client'
import { amqp } from 'taskspan/amqp'
import { render } from 'taskspan/metrics'
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'
import { rabbitMq } from './rabbitmq.ts'

const { connection, channel, queue } = await rabbitMq()
const sdk = start({ app: 'shop', worker: 'orders' }) // to OTEL_EXPORTER_OTLP_ENDPOINT, or as waterfalls to this terminal
const { consume, sendToQueue } = amqp(telemetry())

const deadLetters = await queue('dead')
const orders = await queue('orders', { deadLetterExchange: '', deadLetterRoutingKey: deadLetters })

// Acked when the handler returns. When it throws: requeued once, and dead-lettered the second time.
const consumer = await consume(
  channel,
  orders,
  async (message) => {
    const { order } = JSON.parse(message.content.toString()) as { order: number }
    if (order === 8) throw new Error(`order ${order} has no items`)
  },
  { prefetch: 10, requeue: 'once' },
)
consumer.on('channel_closed', ({ error }) => console.log('the channel closed', error)) // not in this story

for (const order of [7, 8]) {
  sendToQueue(channel, orders, Buffer.from(JSON.stringify({ order })), { type: 'save_order', messageId: `m-${order}` })
}
await new Promise<void>((resolve) => {
  void channel.consume(deadLetters, (message) => {
    console.log(`dead letter: ${message?.content}`)
    resolve()
  })
})

await consumer.close() // cancels, and waits for the handlers that run
await connection.close()
await sdk.close()

const { body } = await render(register)
for (const line of body.split('\n')) if (/^taskiq_(tasks|messages_\w+)_total\{/.test(line)) console.log(line)
