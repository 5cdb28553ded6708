// A pipeline run as plain data: which steps there are, where each stands.
import { isSpanContextValid } from '@opentelemetry/api'
import type { Task } from '../../kernel/task.ts'

export interface StepView {
  readonly step: string
  readonly state: string
  readonly attempt: number
  readonly duration_ms: number
  readonly progress?: { readonly value: number; readonly total?: number | undefined } | undefined
  readonly reason?: string | undefined
}

export interface RunView {
  readonly pipeline: string
  readonly run_id: string | undefined
  /** `running`, or how it ended. */
  readonly outcome: string
  readonly task: string | undefined
  readonly trace_id: string | undefined
  readonly started_at: string
  readonly elapsed_ms: number
  readonly steps_total: number
  readonly steps_completed: number
  readonly steps: readonly StepView[]
}

/** As much as a pipeline's message says of a step. */
interface StepState {
  readonly id: string
  readonly status: string
  readonly attempt: number
  readonly durationMs: number
  readonly endedAt: number
  readonly progress?: { readonly value: number; readonly total?: number | undefined } | undefined
  readonly reason?: string | undefined
}

const MAX_STEPS = 1_000

/** Reads a pipeline's task now; nothing of the run itself is kept, its outputs least of all. */
export function viewRun(task: Task): RunView {
  const states = statesOf(task.message)
  const total = task.details?.['pipeline.steps']
  const runId = task.details?.['pipeline.run_id']
  return {
    pipeline: task.name,
    run_id: runId === undefined ? undefined : String(runId),
    outcome: task.ending?.outcome ?? 'running',
    task: rootOf(task)?.name,
    trace_id: traceIdOf(task),
    started_at: new Date(task.startedAt).toISOString(),
    elapsed_ms: Math.round(task.ending?.durationMs ?? performance.now() - task.clock),
    steps_total: typeof total === 'number' ? total : states.length,
    steps_completed: states.filter(({ endedAt }) => endedAt > 0).length,
    steps: states.slice(0, MAX_STEPS).map(viewStep),
  }
}

function viewStep({ id, status, attempt, durationMs, progress, reason }: StepState): StepView {
  return { step: id, state: status, attempt, duration_ms: Math.round(durationMs), progress, reason }
}

function statesOf(message: unknown): readonly StepState[] {
  const { states } = (message ?? {}) as { readonly states?: unknown }
  return Array.isArray(states) ? (states as StepState[]) : []
}

/** The trace of a task; undefined where nothing is traced. */
export function traceIdOf({ span }: Task): string | undefined {
  const found = span?.spanContext()
  return found !== undefined && isSpanContextValid(found) ? found.traceId : undefined
}

/** The task that a step or a pipeline stands in. */
export function rootOf(task: Task): Task | undefined {
  let at: Task | undefined = task
  while (at !== undefined && at.kind !== 'task') at = at.parent
  return at
}
