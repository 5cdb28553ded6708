// Which lost attempts a run is the first to see: BullMQ counts stalls per job, but nobody marks them as reported.
import type { Job } from 'bullmq'

// job.stalledCounter only ever grows, and says nothing of order: after "lost, failed, retried" it reads the same as after
// "failed, lost, recovered". What this process has already reported is remembered here, bounded; a job that failed after
// its recovery and is retried by another process may be reported there once more, rather than a loss be missed.
const MAX_JOBS = 10_000
const reported = new Map<string, number>()

/** How many attempts were lost since anyone here last looked at the job: 0 or 1 on first sight, since each run reports. */
export function newlyLost(job: Job): number {
  const stalls = job.stalledCounter
  if (!(stalls > 0)) return 0
  const key = keyOf(job)
  const known = reported.get(key)
  remember(key, stalls)
  return known === undefined ? 1 : Math.max(0, stalls - known)
}

function remember(key: string, stalls: number): void {
  reported.delete(key) // to the end of the order: the oldest is dropped first
  reported.set(key, stalls)
  if (reported.size > MAX_JOBS) {
    const [oldest] = reported.keys()
    if (oldest !== undefined) reported.delete(oldest)
  }
}

function keyOf(job: Job): string {
  return `${job.queueQualifiedName}:${job.id}:${job.timestamp}`
}
