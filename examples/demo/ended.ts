// Resolves when a worker has ended a task for good, with what the task returned.
import type { Job, Worker } from 'bullmq'

export function ended(worker: Worker, name: string): Promise<unknown> {
  return new Promise((resolve) => {
    const end = (job: Job | undefined): void => {
      // BullMQ sets `finishedOn` when there will be no other attempt.
      if (job?.name !== name || !job.finishedOn) return
      worker.off('completed', end)
      worker.off('failed', end)
      resolve(job.returnvalue)
    }
    worker.on('completed', end)
    worker.on('failed', end)
  })
}
