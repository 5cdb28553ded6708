// Repeats a step's attempts: how often and after what wait is p-retry's; what counts as an attempt is ours.
import pRetry from 'p-retry'
import { MAX_TIMER_MS } from '../kernel/within.ts'
import type { StepOptions } from './options.ts'

/**
 * Runs attempts until one succeeds, `again` says no, the retries are used up or the signal ends the wait. Rejects with
 * the last attempt's own error, whatever was thrown.
 */
export async function retrying<T>(
  { retries = 0, backoff = {} }: StepOptions,
  signal: AbortSignal,
  attempt: (n: number) => Promise<T>,
  again: (error: unknown) => boolean,
): Promise<T> {
  let done: { value: T } | undefined
  let failure: { error: unknown } | undefined
  const once = async (n: number): Promise<void> => {
    try {
      done = { value: await attempt(n) }
    } catch (error) {
      failure = { error }
      // p-retry refuses values that are no errors and never repeats a TypeError; it need not see what was thrown.
      throw new Error('attempt failed')
    }
  }
  try {
    await pRetry(once, {
      retries,
      minTimeout: backoff.initialMs ?? 200,
      maxTimeout: Math.min(backoff.maxMs ?? 30_000, MAX_TIMER_MS),
      factor: backoff.factor ?? 2,
      randomize: backoff.jitter ?? true,
      signal,
      shouldRetry: () => again(failure?.error),
    })
  } catch {
    // Told by `failure`; and an attempt that had succeeded when the signal came has succeeded.
  }
  if (done !== undefined) return done.value
  throw failure === undefined ? signal.reason : failure.error
}
