// One trace over two brokers: an API, a BullMQ task, a RabbitMQ task. Needs Redis and RabbitMQ: REDIS_URL and AMQP_URL.
// prints: ^POST /clips
// prints: ^└─ send render
// prints: ^ {3}└─ taskiq\.render_clip
// prints: ^ {6}└─ send exports-
// prints: ^ {9}└─ taskiq\.export_clip
// prints: "request_id":"r-81".*"message":"exported"
import { trace } from '@opentelemetry/api'
import { Queue, Worker } from 'bullmq'
import { amqp } from 'taskspan/amqp'
import { bullmq, propagation } from 'taskspan/bullmq'
import { bind, log } from 'taskspan/logging'
import { telemetry } from 'taskspan/telemetry'
import { recordSpans } from 'taskspan/testing'
import { rabbitMq } from './rabbitmq.ts'
import { redis } from './redis.ts'

const { connection, prefix, release } = await redis()
const rabbit = await rabbitMq()
const spans = recordSpans() // in your processes: start({ app: 'shop', worker: 'api' }), 'render', 'export'
const t = telemetry({ correlation: ['request_id'] }) // the one key that may travel with messages
const instrument = bullmq(t)
const { consume, sendToQueue } = amqp(t)

// The second worker, on RabbitMQ.
const exports = await rabbit.queue('exports')
const exporting = await consume(rabbit.channel, exports, async () => log().info('exported'))

// The first worker, on BullMQ, hands on to it.
const rendering = new Worker(
  'render',
  instrument(async (job) => {
    const clip = Buffer.from(JSON.stringify({ clip: job.data.clip }))
    sendToQueue(rabbit.channel, exports, clip, { type: 'export_clip', persistent: true })
  }),
  { connection, prefix },
)

// The API. Its span is usually made by @opentelemetry/instrumentation-http; here by hand.
const clips = new Queue('render', { connection, prefix, telemetry: propagation(t) })
await trace.getTracer('api').startActiveSpan('POST /clips', async (span) => {
  await bind({ request_id: 'r-81' }, () => clips.add('render_clip', { clip: 42 }))
  span.end()
})

await spans.waitFor('taskiq.export_clip')
await rendering.close()
await clips.close()
await exporting.close()
await rabbit.connection.close()
await release()
console.log(spans.waterfall())
