// BullMQ: a producer and a worker, one trace per clip, and what the metrics say. Run: npx tsx examples/01-bullmq.ts
// prints: send render .*✓
// prints: taskiq\.render_clip .*↻ retry 1/2
// prints: taskiq_tasks_total\{.*outcome="retry"\} 1
// prints: taskiq_tasks_total\{.*outcome="success"\} 2
import { Queue, Worker } from 'bullmq'
import { register } from 'prom-client'
import { bullmq, propagation } from 'taskspan/bullmq'
import { render } from 'taskspan/metrics'
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'
import { redis } from './redis.ts'

const { connection, prefix, release } = await redis()
const sdk = start({ app: 'shop', worker: 'render' }) // to OTEL_EXPORTER_OTLP_ENDPOINT, or as waterfalls to this terminal
const t = telemetry()

// The worker: wrap the processor, and watch for what no processor sees (lost attempts, jobs failed without a run).
const instrument = bullmq(t)
const worker = new Worker(
  'render',
  instrument(async (job) => {
    if (job.data.clip === 43 && job.attemptsMade === 0) throw new Error('codec crashed')
    return `rendered clip ${job.data.clip}`
  }),
  { connection, prefix },
)
const observation = instrument.observe(worker)

// The producer: every add, bulk, flow and schedule of this queue gets a `send` span and carries the trace.
const queue = new Queue('render', { connection, prefix, telemetry: propagation(t) })
const done = new Promise<void>((resolve) => worker.on('completed', (job) => job.data.clip === 43 && resolve()))
await queue.add('render_clip', { clip: 42 })
await queue.add('render_clip', { clip: 43 }, { attempts: 2 })
await done

observation.close()
await worker.close()
await queue.close()
await release()
await sdk.close() // what is still buffered is sent, or printed

const { body } = await render(register)
for (const line of body.split('\n')) if (line.startsWith('taskiq_tasks_total{')) console.log(line)
