// A worker in a process of its own that takes jobs and never ends them: it is there to be killed.
import { type ConnectionOptions, type Job, Worker } from 'bullmq'

const { queue, connection, prefix, lockDuration } = JSON.parse(String(process.argv[2])) as {
  queue: string
  connection: ConnectionOptions
  prefix: string
  lockDuration: number
}

const take = (job: Job): Promise<never> => {
  process.send?.(job.id)
  return new Promise(() => {})
}

// It leaves the search for stalled jobs to others, so that tests decide who finds them.
new Worker(queue, take, { connection, prefix, lockDuration, skipStalledCheck: true })
