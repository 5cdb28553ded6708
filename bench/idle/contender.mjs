// A worker that has nothing to do, with everything on or without us: tells what CPU and memory it takes meanwhile.
//   REDIS_URL=… node --expose-gc contender.mjs <peers|ours>
import { randomUUID } from 'node:crypto'
import { Queue, Worker } from 'bullmq'
import { answering, cpuOf } from '../rounds.mjs'
import { countSpans } from '../spans.mjs'

// Both have loaded the same: what is compared is ours alone.
await Promise.all([import('pino'), import('prom-client')])
countSpans()

const connection = { url: process.env.REDIS_URL, maxRetriesPerRequest: null }
const name = `bench-${randomUUID()}`
const ours = process.argv[2] === 'ours' ? await import('./ours.mjs') : undefined
const queue = new Queue(name, { connection })
const worker = new Worker(name, ours?.around(async () => {}) ?? (async () => {}), { connection })
await worker.waitUntilReady()
await ours?.begin(worker, queue)

answering(async ({ idleMs, warmUp }) => {
  if (warmUp) {
    // Once through, so that nothing is left to be compiled.
    await queue.add('render_clip', {})
    await new Promise((resolve) => worker.once('completed', resolve))
    return {}
  }
  const startedAt = performance.now()
  const cpu = await cpuOf(() => new Promise((resolve) => setTimeout(resolve, idleMs)))
  const percent = cpu / 10 / (performance.now() - startedAt)
  globalThis.gc()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { percent, heap: (heapUsed + external) / 2 ** 20, resident: rss / 2 ** 20 }
})
