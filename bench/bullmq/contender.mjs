// One contender in one process: adds jobs to a queue that is paused, then works them off; tells what each half cost.
//   REDIS_URL=… node contender.mjs <bare|otel|otel-metrics|ours|ours-send>
import { randomUUID } from 'node:crypto'
import { metrics } from '@opentelemetry/api'
import { Queue, Worker } from 'bullmq'
import { answering, cpuOf } from '../rounds.mjs'
import { carrier, countSpans } from '../spans.mjs'

const AT_ONCE = 50 // so many senders wait for Redis at a time

const [, , name] = process.argv
const spans = name === 'bare' ? { ended: 0 } : countSpans()
const { around, atQueue = {}, atWorker = {}, carries = false } = await contender()
const handler = async (job) => job.data.n

const connection = { url: process.env.REDIS_URL, maxRetriesPerRequest: null }
const queueName = `bench-${randomUUID()}`
const queue = new Queue(queueName, { connection, ...atQueue })
await queue.pause()
let ended = 0
let done = () => {}
const worker = new Worker(queueName, around(handler), { connection, ...atWorker })
worker.on('completed', () => --ended === 0 && done())
await worker.waitUntilReady()

answering(async ({ count, warmUp }) => {
  // Until V8 has compiled all of it: what is called once per job takes fifteen thousand of them, whoever's it is.
  for (let n = 0; warmUp && n < 60; n++) await round(count)
  return round(count)
})

async function round(count) {
  const before = spans.ended
  const adding = await cpuOf(() => add(count))
  const sends = spans.ended - before
  ended = count
  const allEnded = new Promise((resolve) => (done = resolve))
  const working = await cpuOf(async () => {
    await queue.resume()
    await allEnded
  })
  const spansOfTasks = spans.ended - before - sends
  await queue.pause()
  return {
    consumer: working / count,
    both: (adding + working) / count,
    spans: spansOfTasks / count,
    sends: sends / count,
  }
}

async function add(count) {
  for (let n = 0; n < count; n += AT_ONCE) {
    const adds = Array.from({ length: Math.min(AT_ONCE, count - n) }, (_, at) => {
      // Where nothing of the contender's stands at the queue, another service has sent the job, within a trace.
      const sent = carries ? { telemetry: { metadata: JSON.stringify(carrier(n + at)) } } : {}
      return queue.add('render_clip', { n: n + at }, { attempts: 3, removeOnComplete: true, ...sent })
    })
    await Promise.all(adds)
  }
}

async function contender() {
  if (name === 'bare') return { around: (processor) => processor }
  if (name.startsWith('otel')) {
    const { BullMQOtel } = await import('bullmq-otel')
    const enableMetrics = name === 'otel-metrics'
    if (enableMetrics) await readMetrics()
    const telemetry = new BullMQOtel({ tracerName: 'worker', meterName: 'worker', enableMetrics })
    return { around: (processor) => processor, atQueue: { telemetry }, atWorker: { telemetry } }
  }
  const { bullmq, propagation } = await import('taskspan/bullmq')
  const { logger } = await import('taskspan/logging')
  const { telemetry } = await import('taskspan/telemetry')
  // Everything: spans, metrics, and at level info one line per job, made in full and thrown away as the spans are.
  const t = telemetry({ logger: logger({ level: 'info' }, { write() {} }) })
  if (name === 'ours-send') return { around: bullmq(t), atQueue: { telemetry: propagation(t) } }
  return { around: bullmq(t), carries: true }
}

// Without a reader the SDK would not aggregate, and metrics would cost nothing.
async function readMetrics() {
  const { MeterProvider, MetricReader } = await import('@opentelemetry/sdk-metrics')
  class OnDemand extends MetricReader {
    async onForceFlush() {}
    async onShutdown() {}
  }
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [new OnDemand()] }))
}
