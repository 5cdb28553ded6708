// A step's attempt as a task: its names, numbers and links, whoever runs the graph.
import type { Attributes, Link, SpanContext } from '@opentelemetry/api'
import { createTask, type Task, type TaskLog } from '../kernel/task.ts'
import { plainLog } from './log.ts'
import { round, type StepState } from './report.ts'

const MAX_LINKS = 32
const MAX_REASON = 256

/** What of a run stands on its steps. */
export interface StepsOf {
  readonly pipeline: string
  readonly id: string
  readonly states: readonly StepState[]
}

/** What differs from attempt to attempt. */
export interface StepAttempt {
  readonly attempt: number
  readonly attempts: number
  readonly needs: readonly number[]
  readonly needIds: readonly string[]
  readonly signal: AbortSignal | undefined
  readonly judge: NonNullable<Task['judge']>
  /** The span that did the work of a restored step. */
  readonly earlier: SpanContext | undefined
}

/** Opens an attempt: the step is running from here on. */
export function openStep(run: StepsOf, state: StepState, given: StepAttempt): Task {
  const { attempt, attempts, needIds, signal, judge } = given
  const waitMs = attempt === 1 ? round(performance.now() - state.readyAt) : undefined
  const details: Attributes = {
    'pipeline.name': run.pipeline,
    'pipeline.run_id': run.id,
    'step.id': state.id,
    'step.attempt': attempt,
    'step.needs': needIds as string[],
  }
  if (waitMs !== undefined) details['step.wait_ms'] = waitMs
  const fields = {
    name: state.id,
    queue: run.pipeline,
    attempt,
    maxAttempts: attempts > 1 ? attempts : undefined,
    waitMs,
    links: links(run.states, given),
    details,
  }
  const task = createTask('step', fields, { message: state, signal, judge })
  if (attempt === 1) state.startedAt = task.clock
  state.status = 'running'
  state.attempt = attempt
  return task
}

function links(states: readonly StepState[], { earlier, needs }: StepAttempt): Link[] | undefined {
  const found: Link[] = []
  if (earlier !== undefined) found.push({ context: earlier })
  for (let n = 0; n < needs.length && found.length < MAX_LINKS; n++) {
    const { span } = states[needs[n] as number] as StepState
    if (span !== undefined) found.push({ context: span })
  }
  return found.length === 0 ? undefined : found
}

/** Ends an attempt as skipped; the reason stands on the span, in the log and in the report. */
export function skipped(task: Task, reason: string): undefined {
  const state = task.message as StepState
  state.reason = reason.slice(0, MAX_REASON)
  task.endDetails = { 'step.skip_reason': state.reason }
  task.ending = { outcome: 'skipped', threw: false, error: undefined, durationMs: performance.now() - task.clock }
  return undefined
}

/** What a step says of itself while it runs. */
export interface StepVoice {
  /** Lines with the trace ids, the run and the step; to the console where no logging middleware stands around it. */
  readonly log: TaskLog
  /** Says how far the step is, for `report()` and the debug pages. */
  readonly progress: (value: number, total?: number) => void
}

export function progressOf(state: StepState): StepVoice['progress'] {
  return (value, total) => {
    state.progress = { value, total }
  }
}

export function logOf(task: Task): TaskLog {
  return task.log ?? plainLog(task)
}

/** A call as a promise, also when it throws before its first await. */
export function settled(call: () => unknown): Promise<unknown> {
  try {
    const result = call()
    return result instanceof Promise ? result : Promise.resolve(result)
  } catch (error) {
    return Promise.reject(error)
  }
}
