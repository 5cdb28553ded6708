// A step's attempt as a task: its names, numbers and links, whoever runs the graph.
import type { Attributes, Link, SpanContext } from '@opentelemetry/api'
import { createTask } from '../kernel/create-task.ts'
import { round } from '../kernel/round.ts'
import type { Task, TaskLog } from '../kernel/task.ts'
import { plainLog } from './log.ts'
import type { StepState } from './report.ts'

const MAX_LINKS = 32
const MAX_REASON = 256

/** What of a run stands on its steps, made once for all of them. */
export interface StepsOf {
  readonly pipeline: string
  readonly states: readonly StepState[]
  readonly details: Attributes
  readonly rules: Pick<Task, 'judge'> & Partial<Pick<Task, 'parent'>>
}

/** Opens attempt `attempt` of at most `attempts`: the step is running from here on. */
export function openStep(
  run: StepsOf,
  state: StepState,
  needs: readonly string[],
  links: readonly Link[] | undefined,
  attempt: number,
  attempts: number,
  signal: AbortSignal | undefined,
): Task {
  const clock = performance.now()
  const fields = {
    name: state.id,
    queue: run.pipeline,
    attempt,
    maxAttempts: attempts > 1 ? attempts : undefined,
    waitMs: attempt === 1 ? round(clock - state.readyAt) : undefined,
    links,
    details: run.details,
    needs,
  }
  const task = createTask('step', fields, run.rules, state, signal, clock)
  if (attempt === 1) state.startedAt = clock
  state.status = 'running'
  state.attempt = attempt
  return task
}

/**
 * Links to the spans of what a step needed.
 *
 * @param earlier the span that did the work of a restored step
 */
export function links(
  states: readonly StepState[],
  needs: readonly number[],
  earlier?: SpanContext,
): Link[] | undefined {
  // Of its final length: a list that grows takes room for 17 at its first item.
  const found = new Array<Link>(Math.min(needs.length + (earlier === undefined ? 0 : 1), MAX_LINKS))
  let count = 0
  if (earlier !== undefined) found[count++] = { context: earlier }
  for (let n = 0; n < needs.length && count < MAX_LINKS; n++) {
    const { span } = states[needs[n] as number] as StepState
    if (span !== undefined) found[count++] = { context: span }
  }
  if (count === 0) return undefined
  if (count < found.length) found.length = count
  return found
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
