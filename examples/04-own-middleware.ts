// Your own middleware: three lines that keep greedy tenants out, and what telemetry makes of it. Run: npx tsx examples/04-own-middleware.ts
// prints: "reason":"other".*"message":"message\.rejected"
// prints: taskiq_messages_rejected_total\{queue="exports",reason="other"\} 2
// prints: taskiq_tasks_total\{.*outcome="success"\} 3
import { type Job, Queue, Worker } from 'bullmq'
import { register } from 'prom-client'
import { type Middleware, reject } from 'taskspan'
import { bullmq } from 'taskspan/bullmq'
import { render } from 'taskspan/metrics'
import { telemetry } from 'taskspan/telemetry'
import { redis } from './redis.ts'

const used = new Map<string, number>()

/** Whether this tenant has had two tasks already. */
function isOverQuota(tenant: string): boolean {
  used.set(tenant, (used.get(tenant) ?? 0) + 1)
  return Number(used.get(tenant)) > 2
}

// A middleware stands around the handler: it may look, wait, refuse, and must await or return next().
const quota: Middleware = async (task, next) => {
  if (isOverQuota((task.message as Job).data.tenant)) throw reject('other', 'This tenant is over its quota.')
  return next()
}

const { connection, prefix, release } = await redis()
const instrument = bullmq(telemetry(), quota) // the first is the outermost: telemetry sees what quota refuses
const worker = new Worker(
  'exports',
  instrument(async (job) => `exported for ${job.data.tenant}`),
  { connection, prefix },
)

const queue = new Queue('exports', { connection, prefix })
const done = new Promise<void>((resolve) => worker.on('completed', (job) => job.data.tenant === 'zen' && resolve()))
for (const tenant of ['acme', 'acme', 'acme', 'acme', 'zen']) {
  await queue.add('export', { tenant }, { attempts: 3 }) // a refused task is not run again
}
await done

await Promise.all([worker.close(), queue.close()])
await release()

const { body } = await render(register)
for (const line of body.split('\n')) if (/^taskiq_(tasks|messages_rejected)_total\{/.test(line)) console.log(line)
