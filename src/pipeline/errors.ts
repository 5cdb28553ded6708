// What a pipeline run rejects with, and the time-out of a step.
import { TaskspanError } from '../kernel/errors.ts'
import { describeError, rejectReason } from '../kernel/outcome.ts'

/** One failed step. */
export interface StepFailure {
  readonly step: string
  readonly attempt: number
  readonly error: unknown
}

interface Details {
  readonly pipeline: string
  readonly runId: string
  readonly first: StepFailure
  readonly failures: readonly StepFailure[]
  readonly outputs: Readonly<Record<string, unknown>>
}

/**
 * What a run rejects with when a step failed (`PIPELINE_FAILED`) or its signal was aborted (`PIPELINE_CANCELLED`).
 * `cause` is the step's own error, or the signal's reason.
 *
 * @example
 * try { await analysis.run(input) } catch (error) {
 *   if (error instanceof PipelineError) console.error(error.step, error.attempt, error.cause)
 * }
 */
export class PipelineError extends TaskspanError {
  override name = 'PipelineError'
  readonly pipeline: string
  readonly runId: string
  /** The step that failed first; undefined when the run was cancelled. */
  readonly step: string | undefined
  /** Its last attempt. */
  readonly attempt: number | undefined
  /** Every failed step in the order of failing, the first 100; those that failed because of the abort come after it. */
  readonly failures: readonly StepFailure[]
  /** Outputs so far, by step: those that no step was to read any more are released, unless `keep` named them. */
  declare readonly outputs: Readonly<Record<string, unknown>>

  constructor(
    code: 'PIPELINE_FAILED' | 'PIPELINE_CANCELLED',
    message: string,
    cause: unknown,
    details: Details | Omit<Details, 'first'>,
  ) {
    super(code, message, { cause })
    // BullMQ decides by this name that a job is not run again: the step's word must reach it.
    if (isFinal(cause)) this.name = 'UnrecoverableError'
    const first = 'first' in details ? details.first : undefined
    this.pipeline = details.pipeline
    this.runId = details.runId
    this.step = first?.step
    this.attempt = first?.attempt
    this.failures = details.failures
    // Not enumerable: an error is printed and logged, and outputs are the user's data.
    Object.defineProperty(this, 'outputs', { value: details.outputs, enumerable: false })
  }
}

export function pipelineFailed(details: Details): PipelineError {
  const { pipeline, first } = details
  const { message } = describeError(first.error)
  const what = `pipeline '${pipeline}': step '${first.step}' failed on attempt ${first.attempt}: ${message.slice(0, 500)}`
  return new PipelineError('PIPELINE_FAILED', `${what}.`, first.error, details)
}

export function pipelineCancelled(reason: unknown, details: Omit<Details, 'first'>): PipelineError {
  return new PipelineError('PIPELINE_CANCELLED', `pipeline '${details.pipeline}': cancelled.`, reason, details)
}

/** A step's attempt that took too long. */
export class StepTimeoutError extends TaskspanError {
  override name = 'StepTimeoutError'
  readonly step: string
  /** Whose time-out it is: a nested pipeline's must not be taken for the outer step's. */
  readonly #state: unknown

  constructor(pipeline: string, step: string, ms: number, state: unknown) {
    super('STEP_TIMED_OUT', `pipeline '${pipeline}': step '${step}' did not end within ${ms} ms.`)
    this.step = step
    this.#state = state
  }

  isOf(state: unknown): boolean {
    return this.#state === state
  }
}

/** Whether no repetition can help: `reject()`, or BullMQ's word for the same. */
export function isFinal(error: unknown): boolean {
  if (rejectReason(error) !== undefined) return true
  try {
    return (error as Error).name === 'UnrecoverableError'
  } catch {
    return false // undefined, null, or a getter that throws
  }
}
