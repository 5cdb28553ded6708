// Draining: what takes work stops taking it, running tasks get their grace, and then their abort signals.
import { fault, guard } from '../kernel/faults.ts'
import { endsWithin } from '../kernel/within.ts'
import type { Closable } from './face.ts'

/** What it hears when its time is over. */
const REASON = 'The process is ending.'

/**
 * Whether all of them ended by themselves, after the abort, or not at all. Never rejects.
 *
 * @param afterAbortMs how long tasks that were aborted may take to notice
 * @param hurry ends the grace early
 */
export async function drain(
  workers: readonly Closable[],
  graceMs: number,
  afterAbortMs: number,
  hurry: AbortSignal,
): Promise<'drained' | 'aborted' | 'abandoned'> {
  const busy = new Set(workers)
  // BullMQ takes an argument of close() for `force`, so there is none.
  const ended = Promise.all(workers.map((worker) => closed(worker).finally(() => busy.delete(worker))))
  if (await endsWithin(graceMs, ended, hurry)) return 'drained'
  for (const worker of busy) {
    guard('sdk', 'abort', () => {
      if (typeof worker.cancelAllJobs === 'function') worker.cancelAllJobs(REASON)
      else worker.abort?.(new Error(REASON))
    })
  }
  return (await endsWithin(afterAbortMs, ended)) ? 'aborted' : 'abandoned'
}

/** Closes; what goes wrong is counted. Never rejects. */
export async function closed(closable: Closable): Promise<void> {
  try {
    await closable.close()
  } catch (error) {
    fault('sdk', 'worker_close', error)
  }
}
