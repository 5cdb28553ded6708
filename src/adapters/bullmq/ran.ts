// Which jobs telemetry of this process has seen run, so that a worker's events tell only of the others.
import type { Job } from 'bullmq'
import type { Adapter, Task } from '../../kernel/task.ts'
import { newlyLost } from './lost.ts'
import { bullmqAdapter, judge, readJob } from './read.ts'

/** The task of each job that telemetry of this process has seen, while the job object lives. */
export class Ran {
  /** Whether a worker is observed. Until then only jobs that threw are noted: nobody asks for the others. */
  isAsked = false
  private readonly tasks = new WeakMap<object, Task>()

  get(job: object): Task | undefined {
    return this.tasks.get(job)
  }

  set(job: object, task: Task): void {
    this.tasks.set(job, task)
  }
}

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
