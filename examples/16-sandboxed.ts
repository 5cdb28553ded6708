// BullMQ's sandboxed processors: one trace through another process, also when that is killed; everything told here.
// Run: npx tsx examples/16-sandboxed.ts
// prints: send render .*✓
// prints: ext\.codec\.decode
// prints: "message":"decoded".*"task_name":"render_clip"|"task_name":"render_clip".*"message":"decoded"
// prints: taskiq_tasks_total\{.*outcome="retry"\} 1
// prints: taskiq_tasks_total\{.*outcome="success"\} 2
// prints: taskiq_ext_duration_seconds_count\{service="codec",operation="decode",result="ok"\} 3
import { Queue, Worker } from 'bullmq'
import { register } from 'prom-client'
import { bullmq, propagation } from 'taskspan/bullmq'
import { render } from 'taskspan/metrics'
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'
import { redis } from './redis.ts'

const { connection, prefix, release } = await redis()
const sdk = start({ app: 'shop', worker: 'render' }) // the child's spans go where this one's go
const t = telemetry()

const file = new URL('./sandboxed/processor.ts', import.meta.url) // with `useWorkerThreads: true` it is the same
const worker = new Worker('render', file, { connection, prefix, concurrency: 2 })
const observation = bullmq(t).observe(worker) // tells of each job, and takes what its child has to tell

const queue = new Queue('render', { connection, prefix, telemetry: propagation(t) })
const done = new Promise<void>((resolve) => {
  let left = 2
  worker.on('completed', () => --left === 0 && resolve())
})
await queue.add('render_clip', { clip: 42 })
await queue.add('render_clip', { clip: 43 }, { attempts: 2 }) // its child is killed in the middle of the first
await done

await worker.close()
await observation.close()
await queue.close()
await release()
await sdk.close()

const { body } = await render(register)
for (const line of body.split('\n'))
  if (/^taskiq_(tasks_total|ext_duration_seconds_count)\{/.test(line)) console.log(line)
