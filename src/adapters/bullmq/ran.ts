// Which jobs telemetry of this process has seen run, so that a worker's events tell only of the others.
import type { Job } from 'bullmq'
import type { Adapter, Task } from '../../kernel/task.ts'
import { newlyLost } from './lost.ts'
import { bullmqAdapter, judge, readJob } from './read.ts'

/** The task of each job that telemetry of this process has seen, while the job object lives. */
export type Ran = WeakMap<object, Task>

/** BullMQ's adapter. A job whose middleware threw before the handler ran has been seen, if anyone asked what the throw means. */
export function remembering(ran: Ran, name?: string): Adapter<Job> {
  return {
    ...bullmqAdapter,
    read: name === undefined ? bullmqAdapter.read : (job) => readJob(job, newlyLost(job), name),
    judge(error, job, task) {
      ran.set(job, task)
      return judge(error, job)
    },
  }
}
