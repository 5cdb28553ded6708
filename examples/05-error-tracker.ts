// An error tracker: told once per task that failed for good, with its trace, not once per attempt. Run: npx tsx examples/05-error-tracker.ts
// prints: ^1 report for 3 attempts
// prints: CodecError: cannot decode clip 43 in render_clip, attempt 2 of 2, trace [0-9a-f]{32}
import { Queue, Worker } from 'bullmq'
import type { Task } from 'taskspan'
import { bullmq, propagation } from 'taskspan/bullmq'
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'
import { redis } from './redis.ts'

class CodecError extends Error {
  override name = 'CodecError'
}

// What Sentry and the like do: Sentry.captureException(error, { tags: { task: task.name }, contexts: { … } }).
const reports: string[] = []
function capture(error: unknown, task: Task): void {
  const trace = task.span?.spanContext().traceId
  reports.push(`${error} in ${task.name}, attempt ${task.attempt} of ${task.maxAttempts}, trace ${trace}`)
}

const { connection, prefix, release } = await redis()
const sdk = start({ app: 'shop', worker: 'render' })
const t = telemetry({ onFailure: capture }) // what it throws, or rejects with, is counted, never felt
const instrument = bullmq(t)

let attempts = 0
const worker = new Worker(
  'render',
  instrument(async (job) => {
    attempts++
    if (job.data.clip === 43) throw new CodecError(`cannot decode clip ${job.data.clip}`)
  }),
  { connection, prefix },
)
instrument.observe(worker) // jobs that fail without a run are reported as well

const queue = new Queue('render', { connection, prefix, telemetry: propagation(t) })
const failed = new Promise<void>((resolve) => worker.on('failed', (job) => job?.attemptsMade === 2 && resolve()))
for (const clip of [42, 43]) await queue.add('render_clip', { clip }, { attempts: 2 })
await failed

await Promise.all([worker.close(), queue.close()])
await release()
await sdk.close()
console.log(`${reports.length} report for ${attempts} attempts:\n${reports.join('\n')}`)
