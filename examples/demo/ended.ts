// Resolves when a worker has ended a task for good.
import type { Job, Worker } from 'bullmq'

export function ended(worker: Worker, name: string): Promise<void> {
  return new Promise((resolve) => {
    const end = (job: Job | undefined): void => {
      // BullMQ sets `finishedOn` when there will be no other attempt.
      if (job?.name !== name || !job.finishedOn) return
      worker.off('completed', end)
      worker.off('failed', end)
      resolve()
    }
    worker.on('completed', end)
    worker.on('failed', end)
  })
}
