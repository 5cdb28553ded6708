// A reply goes on with the caller's trace: ask over RabbitMQ, work, answer, carry on. Needs AMQP_URL or a RabbitMQ here.
// prints: ^GET /price
// prints: ^└─ send prices-
// prints: ^ {3}└─ taskiq\.price
// prints: ^ {6}└─ send \(anonymous\)
// prints: ^ {9}└─ taskiq\.price_reply
// prints: ^the price is 42
import { randomUUID } from 'node:crypto'
import { trace } from '@opentelemetry/api'
import { amqp } from 'taskspan/amqp'
import { telemetry } from 'taskspan/telemetry'
import { recordSpans } from 'taskspan/testing'
import { rabbitMq } from './rabbitmq.ts'

const { connection, channel, queue } = await rabbitMq()
const spans = recordSpans() // in your processes: start({ app: 'shop', worker: 'api' }) and 'prices'
const { consume, sendToQueue } = amqp(telemetry())

// The side that answers: replyTo and correlationId are amqplib's own, and nothing else is needed.
const prices = await queue('prices')
const answering = await consume(channel, prices, async ({ properties: { replyTo, correlationId } }) => {
  sendToQueue(channel, replyTo, Buffer.from('42'), { correlationId })
})

// The side that asks, with one queue for all answers. RabbitMQ names it, so spans and labels call it (anonymous).
const { queue: answers } = await channel.assertQueue('', { exclusive: true })
const waiting = new Map<string, (answer: string) => void>()
const hearing = await consume(
  channel,
  answers,
  async ({ content, properties }) => waiting.get(properties.correlationId)?.(content.toString()),
  { name: 'price_reply' },
)

function ask(type: string): Promise<string> {
  const correlationId = randomUUID()
  const answer = new Promise<string>((resolve) => waiting.set(correlationId, resolve))
  sendToQueue(channel, prices, Buffer.from('{"item":7}'), { type, replyTo: answers, correlationId })
  return answer.finally(() => waiting.delete(correlationId))
}

await trace.getTracer('api').startActiveSpan('GET /price', async (span) => {
  console.log(`the price is ${await ask('price')}`)
  span.end()
})

await Promise.all([answering.close(), hearing.close()])
await connection.close()
console.log(spans.waterfall())
