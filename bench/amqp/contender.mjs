// One contender in one process: publishes to a queue without a consumer, then consumes all; tells what each half cost.
//   AMQP_URL=… node contender.mjs <bare|instrumentation|ours|ours-send>
import { createRequire } from 'node:module'
import { answering, cpuOf } from '../rounds.mjs'
import { carrier, countSpans } from '../spans.mjs'

const PREFETCH = 100
const BODY = Buffer.from(JSON.stringify({ clip: 42 }))

const [, , name] = process.argv
const spans = name === 'bare' ? { ended: 0 } : countSpans()
if (name === 'instrumentation') {
  const { AmqplibInstrumentation } = await import('@opentelemetry/instrumentation-amqplib')
  const { registerInstrumentations } = await import('@opentelemetry/instrumentation')
  registerInstrumentations({ instrumentations: [new AmqplibInstrumentation()] })
}
// Not imported: the instrumentation sees only what is required, and only after it was registered.
const { connect } = createRequire(import.meta.url)('amqplib')
const connection = await connect(process.env.AMQP_URL)
const channel = await connection.createChannel()
await channel.prefetch(PREFETCH)
const { queue } = await channel.assertQueue('', { exclusive: true })

const { publish, consume } = await contender()
let left = 0
let done = () => {}
const handler = async (message) => {
  if (--left === 0) done()
  return message.content.length
}

answering(async ({ count, warmUp }) => {
  // Until V8 has compiled all of it: fifteen thousand messages, as for BullMQ.
  for (let n = 0; warmUp && n < 30; n++) await round(count)
  return round(count)
})

async function round(count) {
  const before = spans.ended
  const publishing = await cpuOf(async () => {
    for (let n = 0; n < count; n++) {
      // The buffer is full: as a well-behaved publisher waits.
      if (!publish({ type: 'render_clip', messageId: String(n), timestamp: 1_700_000_000 }, n)) {
        await new Promise((resolve) => channel.once('drain', resolve))
      }
    }
    await channel.checkQueue(queue) // answered only after everything has been taken
  })
  const sends = spans.ended - before
  left = count
  const consuming = await cpuOf(async () => {
    const allConsumed = new Promise((resolve) => (done = resolve))
    const stop = await consume()
    await allConsumed
    await stop() // answered only after everything has been acked
  })
  const spansOfTasks = spans.ended - before - sends
  return {
    consumer: consuming / count,
    both: (publishing + consuming) / count,
    spans: spansOfTasks / count,
    sends: sends / count,
  }
}

async function contender() {
  const send = (options) => channel.sendToQueue(queue, BODY, options)
  if (!name.startsWith('ours')) {
    const consumeBare = async () => {
      const ackLast = async (message) => {
        await handler(message)
        channel.ack(message)
      }
      const { consumerTag } = await channel.consume(queue, ackLast)
      return () => channel.cancel(consumerTag)
    }
    return { publish: send, consume: consumeBare }
  }
  const { amqp } = await import('taskspan/amqp')
  const { logger } = await import('taskspan/logging')
  const { telemetry } = await import('taskspan/telemetry')
  // Everything: spans, metrics, and at level info one line per message, made in full and thrown away as the spans are.
  const ours = amqp(telemetry({ logger: logger({ level: 'info' }, { write() {} }) }))
  const consumeOurs = async () => {
    const consumer = await ours.consume(channel, queue, handler)
    return () => consumer.close()
  }
  // Without our sender another service has sent the message, within a trace.
  const sendFromElsewhere = (options, n) => send({ ...options, headers: carrier(n) })
  const sendOurs = (options) => ours.sendToQueue(channel, queue, BODY, options)
  return { publish: name === 'ours-send' ? sendOurs : sendFromElsewhere, consume: consumeOurs }
}
