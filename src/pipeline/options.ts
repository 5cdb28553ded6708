// The options of a step, a pipeline and a run, and their checks.
import { atLeast, checkOptions, show, TaskspanError } from '../kernel/errors.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { Progress } from './progress.ts'

/** Why a step is skipped, or `false` to run it. */
export type SkipReason = string | false | undefined

export interface Backoff {
  /** Wait before the second attempt, in ms. Default 200. */
  readonly initialMs?: number | undefined
  /** No wait is longer than this, in ms. Default 30,000. */
  readonly maxMs?: number | undefined
  /** Each wait is this many times the one before. Default 2. */
  readonly factor?: number | undefined
  /** Waits up to twice as long, at random, so that what failed together does not return together. Default `true`. */
  readonly jitter?: boolean | undefined
}

/** How a step is run. The type parameters are inferred from what you write. */
export interface StepOptions<
  Context = unknown,
  Optional extends boolean = boolean,
  Reason extends SkipReason = SkipReason,
> {
  /**
   * Ends an attempt that takes longer, in ms: its signal aborts, which also stops a pipeline that it runs, and the attempt
   * has failed with `STEP_TIMED_OUT` even when the function never settles. Default: no limit.
   */
  readonly timeoutMs?: number | undefined
  /** How often a failed attempt is repeated. Default 0. Never after `reject()` or an `UnrecoverableError`. */
  readonly retries?: number | undefined
  /** The wait between attempts; the step gives up its place under `concurrency` meanwhile. */
  readonly backoff?: Backoff | undefined
  /** Asked before each attempt; a reason skips the step and those that need it. */
  readonly skip?: SkipFunction<Context, Reason> | undefined
  /** Its failure or skip is no obstacle: dependants get `undefined`. Default `false`. */
  readonly optional?: Optional | undefined
  /** Change it to make checkpoints of this step's former code invalid. */
  readonly version?: string | number | undefined
}

export type SkipFunction<Context, Reason extends SkipReason = SkipReason> = (
  context: Context,
) => Reason | Promise<Reason>

/** How a final step is run. */
export type FinalOptions = Pick<StepOptions, 'timeoutMs' | 'retries' | 'backoff'>

export interface PipelineOptions {
  /** How many steps run at once. Default: no limit. */
  readonly concurrency?: number | undefined
  /**
   * `abort` (default) stops at the first failed step: the others get the signal, are awaited, and the run rejects.
   * `continue` runs everything that does not need the failed step, and rejects at the end.
   */
  readonly onFailure?: 'abort' | 'continue' | undefined
}

export interface RunOptions<Id extends string = string, Keep extends Id = Id> {
  /** Names the run in spans and logs; default: made, or that of the run that is resumed. */
  readonly id?: string | undefined
  /**
   * Stops the run: steps get the signal, are awaited, and the run rejects with `PIPELINE_CANCELLED`. Default: the signal
   * of the task, or of the step, that the run is made in, where it has one.
   */
  readonly signal?: AbortSignal | undefined
  /** Where finished steps are kept, so that the next run of this task does not repeat them. */
  readonly checkpoint?: Checkpoint | undefined
  /** `true` tells the broker the percentage of ended steps, at most once a second; a function is told instead. */
  readonly progress?: boolean | ((progress: Progress) => unknown) | undefined
  /** Steps whose outputs stay and are returned, though others have read them; `true` for all. */
  readonly keep?: true | readonly Keep[] | undefined
}

// Longer ones overflow setTimeout, which then fires at once.
const MAX_TIMEOUT = 2_147_483_647

const milliseconds = (value: unknown): string | undefined =>
  typeof value === 'number' && value > 0 && value <= MAX_TIMEOUT
    ? undefined
    : `must be a number of ms from 1 to ${MAX_TIMEOUT}`

const count =
  (least: number) =>
  (value: unknown): string | undefined =>
    Number.isSafeInteger(value) && (value as number) >= least ? undefined : `must be a whole number >= ${least}`

export const runId = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' && value.length <= 128
    ? undefined
    : 'must be a string of 1 to 128 characters'

export const abortSignal = (value: unknown): string | undefined =>
  value instanceof AbortSignal ? undefined : 'must be an AbortSignal'

const STEP = {
  timeoutMs: milliseconds,
  retries: count(0),
  backoff: 'object',
  skip: 'function',
  optional: 'boolean',
  version: (value: unknown) =>
    typeof value === 'string' || typeof value === 'number' ? undefined : 'must be a string or a number',
} as const

const { timeoutMs, retries, backoff } = STEP

export function checkStepOptions(where: string, options: object, final: boolean): void {
  checkOptions(where, options, final ? { timeoutMs, retries, backoff } : STEP)
  const { backoff: wait } = options as StepOptions
  if (wait === undefined) return
  checkOptions(`${where}: backoff`, wait, {
    initialMs: atLeast(0),
    maxMs: atLeast(0),
    factor: atLeast(1),
    jitter: 'boolean',
  })
}

/** A list of the steps. A key that does not exist is refused as well: `needs` instead of `after` would be a step without needs. */
export function checkStepData<T extends object>(where: string, steps: Iterable<T>): T[] {
  if (typeof steps !== 'object' || typeof steps?.[Symbol.iterator] !== 'function') {
    throw new TaskspanError('INVALID_OPTION', `${where} takes a list of steps, got ${show(steps)}.`)
  }
  const list = [...steps]
  // What the values are is checked where each is used, with words of its own.
  const later = (): undefined => undefined
  list.forEach(
    (step, at) => void checkOptions(`${where}[${at}]`, step, { id: later, after: later, run: later, options: later }),
  )
  return list
}

export function checkPipelineOptions(where: string, options: object): void {
  checkOptions(where, options, {
    concurrency: (value) => (value === Number.POSITIVE_INFINITY ? undefined : count(1)(value)),
    onFailure: (value) => (value === 'abort' || value === 'continue' ? undefined : "must be 'abort' or 'continue'"),
  })
}

export function checkRunOptions(where: string, options: object, ids: () => ReadonlySet<string>): void {
  checkOptions(where, options, {
    id: runId,
    signal: abortSignal,
    checkpoint: (value) =>
      typeof (value as Checkpoint | null)?.load === 'function' && typeof (value as Checkpoint).save === 'function'
        ? undefined
        : 'must have the functions load and save',
    progress: (value) =>
      typeof value === 'boolean' || typeof value === 'function' ? undefined : 'must be a boolean or a function',
    keep: (value) => (value === true || Array.isArray(value) ? undefined : 'must be true or a list of step ids'),
  })
  const { keep } = options as RunOptions
  if (!Array.isArray(keep)) return
  const known = ids() // once: all of 10,000 steps may be named
  const unknown = keep.find((id) => !known.has(id))
  if (unknown !== undefined) {
    throw new TaskspanError('INVALID_OPTION', `${where}: 'keep' names '${unknown}', and there is no such step.`)
  }
}
