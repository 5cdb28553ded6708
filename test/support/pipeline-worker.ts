// A worker in a process of its own that runs a pipeline up to a step that never ends: it is there to be killed.
import { type ConnectionOptions, Worker } from 'bullmq'
import { bullmq, checkpoint } from 'taskspan/bullmq'
import { clip } from './pipeline-clip.ts'

const { queue, connection, prefix, lockDuration } = JSON.parse(String(process.argv[2])) as {
  queue: string
  connection: ConnectionOptions
  prefix: string
  lockDuration: number
}

const ran = (step: string): void => void process.send?.(step)
const pipeline = clip(ran, () => new Promise(() => {}))

new Worker(
  queue,
  bullmq()(async (job) => pipeline.run(job.data, { checkpoint: checkpoint(job) })),
  {
    connection,
    prefix,
    lockDuration,
    skipStalledCheck: true,
  },
)
