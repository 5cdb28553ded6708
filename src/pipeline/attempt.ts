// One attempt at one step: its task and links, what its function gets, its skip, its time-out.
import type { Attributes, Link } from '@opentelemetry/api'
import { inside } from '../kernel/consumer.ts'
import type { Outcome } from '../kernel/outcome.ts'
import { createTask, type Task } from '../kernel/task.ts'
import { isFinal, StepTimeoutError } from './errors.ts'
import type { Step } from './graph.ts'
import { plainLog } from './log.ts'
import type { SkipFunction } from './options.ts'
import { encodeOutput } from './record.ts'
import { round, type StepState } from './report.ts'
import type { Run } from './run.ts'

const MAX_LINKS = 32

/** One attempt, before it starts. */
export interface Attempt {
  readonly run: Run
  readonly at: number
  readonly task: Task
  /** The output as a checkpoint keeps it; set when the function has returned and the run has a checkpoint. */
  json: string | undefined
}

/** Opens attempt `n`: the step is running from here on. */
export function openAttempt(run: Run, at: number, n: number, signal: AbortSignal): Attempt {
  const { id, options } = run.graph.steps[at] as Step
  const state = run.states[at] as StepState
  const waitMs = n === 1 ? round(performance.now() - state.readyAt) : undefined
  const fields = {
    name: id,
    queue: run.pipeline,
    attempt: n,
    maxAttempts: options.retries ? options.retries + 1 : undefined,
    waitMs,
    links: links(run, at),
    details: details(run, at, n, waitMs),
  }
  const task: Task = createTask('step', fields, { message: state, signal, judge: (error) => judge(run, task, error) })
  if (n === 1) state.startedAt = task.clock
  state.status = 'running'
  state.attempt = n
  return { run, at, task, json: undefined }
}

/** Runs an attempt through the onion. `core` is the step's function, or what stands in for it. */
export function perform({ run, task }: Attempt, core: () => Promise<unknown>): Promise<unknown> {
  // A middleware of the user's may throw before its first await, or return no promise.
  return settled(() => inside(task, () => run.onion(task, core)))
}

function details(run: Run, at: number, n: number, waitMs: number | undefined): Attributes {
  const found: Attributes = {
    'pipeline.name': run.pipeline,
    'pipeline.run_id': run.id,
    'step.id': (run.graph.steps[at] as Step).id,
    'step.attempt': n,
    'step.needs': run.graph.needIds[at] as string[],
  }
  if (waitMs !== undefined) found['step.wait_ms'] = waitMs
  return found
}

/** Links to the spans of the steps that it needed, and to the span that a restored step's work was done in. */
function links(run: Run, at: number): Link[] | undefined {
  const found: Link[] = []
  const earlier = run.resume?.kept.get(at)?.span
  if (earlier !== undefined) found.push({ context: earlier })
  const needs = run.graph.needs[at] as readonly number[]
  for (let n = 0; n < needs.length && found.length < MAX_LINKS; n++) {
    const { span } = run.states[needs[n] as number] as StepState
    if (span !== undefined) found.push({ context: span })
  }
  return found.length === 0 ? undefined : found
}

// The contract's words for a step: control flow of the broker is not the step's failure; the kernel adds `cancelled`.
function judge(run: Run, task: Task, error: unknown): Outcome {
  if (error instanceof StepTimeoutError && error.isOf(task.message)) return 'timeout'
  if (run.isControlFlow(error)) return 'cancelled'
  return isRepeated(run, task, error) ? 'retry' : 'failure'
}

/** Whether a failed attempt is followed by another. */
export function isRepeated(run: Run, task: Task, error: unknown): boolean {
  if (task.attempt >= (task.maxAttempts ?? 1) || task.signal?.aborted) return false
  return !isFinal(error) && !run.isControlFlow(error)
}

/** The step's own function as the core of the onion. */
export function body(attempt: Attempt, more?: object): Promise<unknown> {
  const { run, at, task } = attempt
  const step = run.graph.steps[at] as Step
  const { timeoutMs, skip } = step.options
  const signal = task.signal as AbortSignal
  const call = step.run as (context: object) => unknown
  if (timeoutMs === undefined && skip === undefined && run.resume === undefined) {
    return settled(() => call(contextOf(attempt, signal, more)))
  }
  const whole = async (own: AbortSignal): Promise<unknown> => {
    const context = contextOf(attempt, own, more)
    const reason = await (skip as SkipFunction<object> | undefined)?.(context)
    if (reason !== undefined && reason !== false) return skipped(task, String(reason))
    const output = await call(context)
    if (run.resume !== undefined && !step.final) attempt.json = encodeOutput(run.pipeline, step.id, output)
    return output
  }
  return timeoutMs === undefined ? whole(signal) : timed(attempt, step, timeoutMs, whole)
}

/** Ends an attempt as skipped; the reason stands on the span, in the log and in the report. */
export function skipped(task: Task, reason: string): undefined {
  const state = task.message as StepState
  state.reason = reason.slice(0, 256)
  task.endDetails = { 'step.skip_reason': state.reason }
  task.ending = { outcome: 'skipped', threw: false, error: undefined, durationMs: performance.now() - task.clock }
  return undefined
}

function settled(call: () => unknown): Promise<unknown> {
  try {
    const result = call()
    return result instanceof Promise ? result : Promise.resolve(result)
  } catch (error) {
    return Promise.reject(error)
  }
}

// The signal comes first, so that a step that listens may stop by itself; but nobody waits for it.
function timed(
  { run, task }: Attempt,
  { id }: Step,
  ms: number,
  whole: (signal: AbortSignal) => Promise<unknown>,
): Promise<unknown> {
  const outer = task.signal as AbortSignal
  const own = new AbortController()
  const stop = (): void => own.abort(outer.reason)
  if (outer.aborted) stop()
  else outer.addEventListener('abort', stop, { once: true })
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const error = new StepTimeoutError(run.pipeline, id, ms, task.message)
      reject(error)
      own.abort(error)
    }, ms)
    const done = (): void => {
      clearTimeout(timer)
      outer.removeEventListener('abort', stop)
    }
    // What a function that was given up does later, resolve or throw, has nobody left to be told.
    whole(own.signal).then(resolve, reject).finally(done)
  })
}

/** What a step's function gets: a plain object, so that it can be taken apart, spread and printed. */
function contextOf({ run, at, task }: Attempt, signal: AbortSignal, more: object | undefined): object {
  const state = run.states[at] as StepState
  const context: Record<string, unknown> = {
    input: run.input,
    signal,
    log: task.log ?? plainLog(task),
    progress: (value: number, total?: number): void => {
      state.progress = { value, total }
    },
    attempt: task.attempt,
  }
  const needs = run.graph.needs[at] as readonly number[]
  for (let n = 0; n < needs.length; n++) {
    const need = needs[n] as number
    context[(run.states[need] as StepState).id] = run.output(need)
  }
  return more === undefined ? context : Object.assign(context, more)
}
