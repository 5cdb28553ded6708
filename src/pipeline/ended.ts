// What the end of an attempt means: the step's state, what is kept of it, and what it means for the others.
import type { SpanContext } from '@opentelemetry/api'
import { fault } from '../kernel/faults.ts'
import { failed, succeeded } from '../kernel/outcome.ts'
import type { Task } from '../kernel/task.ts'
import { type Attempt, isRepeated } from './attempt.ts'
import type { Step } from './graph.ts'
import type { StepState } from './report.ts'

const MAX_FAILURES = 100

/** The reason on steps that are not run because `onFailure` is `continue` and what they need has failed. */
const NEEDS_FAILED = 'needs_failed'

type Blocked = Pick<ReadonlySet<number>, 'has'>

/**
 * @param blocked steps that are not run, because of their needs
 * @returns why its dependants cannot run; undefined where they can
 */
export function hasReturned(attempt: Attempt, output: unknown, blocked: Blocked): string | undefined {
  const { run, at, task } = attempt
  const state = ended(attempt)
  const { outcome } = succeeded(task)
  state.status = outcome === 'skipped' || outcome === 'restored' ? outcome : 'success'
  if (state.status !== 'skipped') run.outputs.set(at, output)
  if (run.resume !== undefined && !run.resume.kept.has(at)) {
    // Not the word of a middleware that stood in for the function: the next time it may be silent.
    const ownWord = state.status === 'skipped' ? !blocked.has(at) : attempt.json !== null
    if (ownWord) run.resume.save(at, run.id, state, attempt.json ?? undefined)
  }
  const { optional } = (run.graph.steps[at] as Step).options
  return state.status === 'skipped' && !optional ? state.reason : undefined
}

/** Whether the run stops here, and if not, why the dependants cannot run. */
export function hasThrown(attempt: Attempt, error: unknown): { stops: boolean; blocks: string | undefined } {
  const { run, at, task } = attempt
  const state = ended(attempt)
  const { outcome } = failed(task, error)
  const wasStopped = run.isStopped
  // A time-out that another attempt was to follow is the last word only because the run has stopped.
  const isOwn = outcome === 'failure' || (outcome === 'timeout' && !isRepeated(run, task, error))
  state.status = isOwn ? outcome : 'cancelled'
  const { optional } = (run.graph.steps[at] as Step).options
  if (optional && isOwn && !wasStopped) {
    run.resume?.save(at, run.id, state, undefined)
    return { stops: false, blocks: undefined }
  }
  // Many end with the reason that they were stopped for; that one is told already.
  const isEcho = wasStopped && (error === run.controller.signal.reason || error === run.failures[0]?.error)
  if (!isEcho && run.failures.length < MAX_FAILURES) {
    run.failures.push({ step: state.id, attempt: task.attempt, error })
  }
  if (isOwn && run.onFailure === 'continue') return { stops: false, blocks: NEEDS_FAILED }
  return { stops: !wasStopped, blocks: undefined }
}

function ended({ run, task, at }: Attempt): StepState {
  const state = run.states[at] as StepState
  // What the middleware measured, so that report, span and metric say the same.
  state.endedAt = task.ending === undefined ? performance.now() : task.clock + task.ending.durationMs
  state.span = spanOf(task)
  return state
}

function spanOf({ span }: Task): SpanContext | undefined {
  try {
    return span?.spanContext()
  } catch (error) {
    fault('pipeline', 'span', error)
    return undefined
  }
}
