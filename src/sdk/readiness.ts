// ready(): runs the checks before any work is taken, and says how they went.
import { type Checks, runChecks } from '../kernel/checks.ts'
import { TaskspanError } from '../kernel/errors.ts'
import { identity } from '../kernel/identity.ts'
import { pause } from '../kernel/within.ts'
import { say } from './lines.ts'

export interface ReadinessOptions {
  readonly checks: Checks
  readonly checkTimeoutMs: number
  readonly onCheckFailure: 'reject' | 'wait'
}

const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 10_000

/** Runs once, whoever asks. @param closing nobody waits any more */
export function readiness(options: ReadinessOptions, closing: AbortSignal): () => Promise<void> {
  let asked: Promise<void> | undefined
  return () => {
    asked ??= untilReady(options, closing)
    return asked
  }
}

async function untilReady(options: ReadinessOptions, closing: AbortSignal): Promise<void> {
  const { checks, checkTimeoutMs, onCheckFailure } = options
  const { app, worker, version } = identity()
  say('workerStarting', 'info', { app, worker, version, checks: Object.keys(checks) })
  for (let attempt = 1, pauseMs = FIRST_PAUSE_MS; ; attempt++, pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    const results = await runChecks(checks, checkTimeoutMs, closing)
    // Who waited for this would now begin to take work.
    if (closing.aborted)
      throw new TaskspanError('CHECK_FAILED', 'ready: close() was called before the checks had passed.')
    const failed = Object.entries(results).filter(([, result]) => result !== 'ok')
    if (failed.length === 0) return say('workerStarted', 'info', { app, worker, version, checks: results })
    for (const [check, result] of failed) {
      const again = onCheckFailure === 'wait' ? { next_in_ms: pauseMs } : {}
      say('checkFailed', 'error', { check, reason: reason(result), attempt, ...again })
    }
    if (onCheckFailure === 'reject') {
      const told = failed.map(([check, result]) => `'${check}' (${reason(result)})`).join(', ')
      throw new TaskspanError(
        'CHECK_FAILED',
        `ready: ${failed.length === 1 ? 'the check' : 'the checks'} ${told} failed.`,
      )
    }
    await pause(pauseMs, closing)
  }
}

const reason = (result: string): string => result.replace(/^error: /, '')
