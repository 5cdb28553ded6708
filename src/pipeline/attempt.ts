// One attempt at one step: what its function gets, its skip, its time-out, and what its end is called.
import { setMaxListeners } from 'node:events'
import { type Attended, attend, type Observer } from '../kernel/observe.ts'
import type { Outcome } from '../kernel/outcome.ts'
import { inside } from '../kernel/scope.ts'
import type { Task } from '../kernel/task.ts'
import { isFinal, StepTimeoutError } from './errors.ts'
import type { Step } from './graph.ts'
import type { SkipFunction } from './options.ts'
import { encodeOutput } from './record.ts'
import type { StepState } from './report.ts'
import type { Run } from './run.ts'
import { links, logOf, openStep, progressOf, skipped } from './step-task.ts'

/** Who is told how an attempt ended. */
export interface Ends {
  returned(attempt: Attempt, output: unknown): void
  threw(attempt: Attempt, error: unknown): void
}

/** One attempt, before it starts. */
export class Attempt implements Attended {
  /** The output as a checkpoint keeps it, undefined for none; null until the function has returned, or without a checkpoint. */
  json: string | undefined | null = null

  constructor(
    readonly run: Run,
    readonly at: number,
    readonly task: Task,
    private readonly ends: Ends | undefined,
    /** Aborted by the step's time-out, where it has one. */
    readonly limit: AbortController | undefined,
  ) {}

  call(): unknown {
    return body(this)
  }

  returned(output: unknown): void {
    this.ends?.returned(this, output)
  }

  threw(error: unknown): void {
    this.ends?.threw(this, error)
  }
}

/** Opens attempt `n`: the step is running from here on. */
export function openAttempt(run: Run, at: number, n: number, signal: AbortSignal, ends?: Ends): Attempt {
  const { graph, states, resume } = run
  const earlier = resume?.kept.get(at)?.span
  const step = graph.steps[at] as Step
  const { retries = 0 } = step.options
  const limit = limitOf(run, step, signal)
  const found = links(states, graph.needs[at] as readonly number[], earlier)
  const needs = graph.needIds[at] as readonly string[]
  // Whatever runs inside of a step, a nested pipeline for one, stops with the step's signal.
  const own = limit?.signal ?? signal
  return new Attempt(run, at, openStep(run, states[at] as StepState, needs, found, n, retries + 1, own), ends, limit)
}

// The run tells it when it stops. Not by AbortSignal.any(): Node keeps what that gives, and all that its listeners see, for as
// long as one of them is not removed. Nor by a listener: to add one, Node walks through all that there are.
function limitOf({ limits }: Run, { final, options }: Step, outer: AbortSignal): AbortController | undefined {
  if (options.timeoutMs === undefined) return undefined
  const limit = new AbortController()
  setMaxListeners(0, limit.signal) // as many pipelines and calls may run inside of the step
  if (outer.aborted) limit.abort(outer.reason)
  else if (!final) limits.push(limit)
  return limit
}

/** Runs an attempt with observers around it, where those are the whole onion; its end is told in the step's own context. */
export function watched(attempt: Attempt, observers: readonly Observer[]): void {
  const { run, task } = attempt
  if (observers.length > 0) task.onion = run.onion
  attend(observers, task, attempt, run.where)
}

/** What an attempt runs through the onion: the step's function, or what stands in for it. */
export type Core = (attempt: Attempt) => unknown

/** Runs an attempt through the onion. */
export function perform(attempt: Attempt, core: Core): Promise<unknown> {
  const { run, task } = attempt
  try {
    // The onion makes a promise of whatever comes; a middleware of the user's may throw before its first await.
    return Promise.resolve(inside(task, run.onion, () => core(attempt) as Promise<unknown>, run.where))
  } catch (error) {
    return Promise.reject(error)
  }
}

// The documented words for a step: control flow of the broker is not the step's failure; the kernel adds `cancelled`.
export function judge(run: Run, task: Task, error: unknown): Outcome {
  if (isTimeoutOf(task, error)) return 'timeout'
  if (run.isControlFlow(error)) return 'cancelled'
  // A middleware may throw an error of its own for it: the signal is aborted, but nobody has cancelled the step.
  if (isTimeoutOf(task, task.signal?.reason)) return 'timeout'
  return isRepeated(run, task, error) ? 'retry' : 'failure'
}

/** Whether a failed attempt is followed by another. */
export function isRepeated(run: Run, task: Task, error: unknown): boolean {
  if (task.attempt >= (task.maxAttempts ?? 1) || isStopped(task)) return false
  return !isFinal(error) && !run.isControlFlow(error)
}

// An attempt that has timed out is over, the step is not.
function isStopped(task: Task): boolean {
  const { signal } = task
  return signal?.aborted === true && !isTimeoutOf(task, signal.reason)
}

function isTimeoutOf({ message }: Task, reason: unknown): boolean {
  return reason instanceof StepTimeoutError && reason.isOf(message)
}

/** The step's own function as the core of the onion. */
export function body(attempt: Attempt, more?: object): unknown {
  const { run, at, task, limit } = attempt
  const step = run.graph.steps[at] as Step
  const { skip } = step.options
  const call = step.run as (context: object) => unknown
  if (limit === undefined && skip === undefined && run.resume === undefined) return call(contextOf(attempt, more))
  const whole = async (): Promise<unknown> => {
    const context = contextOf(attempt, more)
    if (skip !== undefined) {
      const reason = await (skip as SkipFunction<object>)(context)
      // While it was asked, the run may have stopped or the attempt timed out: what is over neither starts nor is skipped.
      task.signal?.throwIfAborted()
      // `null` is no reason either, though the types know only `undefined`: a step must not be skipped by accident.
      if (reason !== undefined && reason !== null && reason !== false) return skipped(task, String(reason))
    }
    const output = await call(context)
    // What comes after the time-out is not the step's output, though a middleware may still think of another.
    const isLate = isTimeoutOf(task, task.signal?.reason)
    if (run.resume !== undefined && !step.final && !isLate) attempt.json = encodeOutput(run.pipeline, step.id, output)
    return output
  }
  return limit === undefined ? whole() : timed(attempt, limit, step, whole)
}

// The signal comes first, so that a step that listens may stop by itself; but nobody waits for it.
function timed(
  { run, task }: Attempt,
  limit: AbortController,
  { id, options }: Step,
  whole: () => Promise<unknown>,
): Promise<unknown> {
  const ms = options.timeoutMs as number
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const error = new StepTimeoutError(run.pipeline, id, ms, task.message)
      reject(error)
      limit.abort(error)
    }, ms)
    // What a function that was given up does later, resolve or throw, has nobody left to be told.
    whole()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
}

/** What a step's function gets: a plain object, so that it can be taken apart, spread and printed. */
function contextOf({ run, at, task }: Attempt, more: object | undefined): object {
  const state = run.states[at] as StepState
  const context: Record<string, unknown> = {
    input: run.input,
    signal: task.signal,
    log: logOf(task),
    progress: progressOf(state),
    attempt: task.attempt,
  }
  const needs = run.graph.needs[at] as readonly number[]
  for (let n = 0; n < needs.length; n++) {
    const need = needs[n] as number
    context[(run.states[need] as StepState).id] = run.outputs.of(need)
  }
  return more === undefined ? context : Object.assign(context, more)
}
