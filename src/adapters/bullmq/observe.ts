// What no processor sees: jobs failed without it, locks lost, worker errors, retries that BullMQ then refused.
import type { Job, Worker } from 'bullmq'
import { notify } from '../../kernel/compose.ts'
import { createTask } from '../../kernel/create-task.ts'
import { having, refuse } from '../../kernel/errors.ts'
import { guard } from '../../kernel/faults.ts'
import type { Middleware } from '../../kernel/task.ts'
import { adopt } from './adopt.ts'
import { newlyLost } from './lost.ts'
import type { Ran } from './ran.ts'
import { readJob } from './read.ts'

/** Ends the observation: removes the listeners, and leaves what runs in a file to itself. */
export interface Observation extends AsyncDisposable {
  close(): Promise<void>
}

const STALLED_OUT = 'job stalled more than allowable limit'
const STARTED_OUT = 'job started more than allowable limit'

export function observe(worker: Worker, middleware: Middleware, ran: Ran): Observation {
  refuse('bullmq: observe: the worker', emitting(worker), worker)
  const queue = worker.name
  ran.isAsked = true
  const release = guard('bullmq', 'sandbox', () => adopt(worker, middleware, ran))

  // BullMQ's listeners run inside its own loop: nothing may be thrown there.
  const failed = (job: Job | undefined, error: Error): void => {
    guard('bullmq', 'observe', () => {
      if (job === undefined) return notify(middleware, broker('failed_unknown_job', error))
      if (!isFinal(job)) return
      const run = ran.get(job)
      const outcome = run?.ending?.outcome
      if (run !== undefined && outcome !== undefined) {
        // Predicted wrongly (a backoff strategy said stop), or succeeded with a result that BullMQ could not store.
        if (outcome === 'retry' || outcome === 'success') notify(middleware, { kind: 'gave_up', task: run, error })
      } else if (!isSandboxed(worker) || isByBullmq(job, error)) {
        failedWithoutRun(job, error)
      }
    })
  }
  const failedWithoutRun = (job: Job, error: Error): void => {
    // attemptsMade already counts this failure, and a read would count the attempt after it.
    const fields = { ...readJob(job), attempt: Math.max(1, job.attemptsMade), waitMs: undefined }
    const task = createTask('task', fields, { system: 'bullmq', message: job })
    const stalledOut = error.message === STALLED_OUT
    if (stalledOut && newlyLost(job) > 0) notify(middleware, { kind: 'lost', task, error, final: true })
    else notify(middleware, { kind: 'failed', task, error })
  }
  const lockLost = (ids: string[]): void => {
    for (const _ of ids) notify(middleware, broker('lock_lost'))
  }
  const stalled = (): void => notify(middleware, broker('stalled'))
  const workerError = (error: Error): void => notify(middleware, broker('worker_error', error))
  const broker = (event: string, error?: unknown) =>
    ({ kind: 'broker', system: 'bullmq', queue, event, ...(error !== undefined && { error }) }) as const

  worker.on('failed', failed)
  worker.on('lockRenewalFailed', lockLost)
  worker.on('stalled', stalled)
  worker.on('error', workerError)

  const close = async (): Promise<void> => {
    release?.()
    worker.off('failed', failed)
    worker.off('lockRenewalFailed', lockLost)
    worker.off('stalled', stalled)
    worker.off('error', workerError)
  }
  return { close, [Symbol.asyncDispose]: close }
}

const emitting = having('on', 'off')

// BullMQ sets it in moveToFailed only when there will be no other attempt.
function isFinal(job: Job): boolean {
  return job.finishedOn !== undefined && job.finishedOn !== null
}

// A processor in a file that could not be adopted is told of in its own process.
function isSandboxed(worker: Worker): boolean {
  return (worker as unknown as { childPool?: unknown }).childPool !== undefined
}

// Worker.getUnrecoverableErrorMessage: what fails a job without its processor.
function isByBullmq(job: Job, { message }: Error): boolean {
  return message === job.deferredFailure || message === STARTED_OUT
}
