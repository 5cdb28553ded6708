// What a run did, step by step: kept while it runs, readable at any time.
import type { SpanContext } from '@opentelemetry/api'
import { round } from '../kernel/round.ts'
import { criticalPath, type Timed } from './critical-path.ts'
import type { Graph } from './graph.ts'

/** Where a step stands. `waiting` for its needs, a place or a backoff; `not_run` when the run ended before it. */
export type StepStatus =
  | 'waiting'
  | 'running'
  | 'success'
  | 'failure'
  | 'timeout'
  | 'cancelled'
  | 'skipped'
  | 'restored'
  | 'not_run'

/** One step of a running pipeline: what its task's `message` is. Times in ms of `performance.now()`. */
export class StepState implements Timed {
  status: StepStatus = 'waiting'
  attempt = 0
  readyAt = 0
  startedAt = 0
  endedAt = 0
  reason: string | undefined = undefined
  progress: { readonly value: number; readonly total: number | undefined } | undefined = undefined
  span: SpanContext | undefined = undefined

  constructor(readonly id: string) {}

  get durationMs(): number {
    if (this.startedAt === 0) return 0
    return (this.endedAt === 0 ? performance.now() : this.endedAt) - this.startedAt
  }

  /** A skip and a restored output take a moment, but nobody waited for them: on the critical path they are nothing. */
  get workMs(): number {
    return this.status === 'skipped' || this.status === 'restored' ? 0 : this.durationMs
  }

  get waitMs(): number {
    return this.startedAt === 0 ? 0 : this.startedAt - this.readyAt
  }
}

export interface StepReport {
  readonly id: string
  readonly after: readonly string[]
  readonly status: StepStatus
  readonly attempt: number
  /** From its needs being met to its first attempt. */
  readonly waitMs: number
  /** From its first attempt to the end of its last. */
  readonly durationMs: number
  /** How much longer it could have taken without making the run longer. */
  readonly slackMs: number
  readonly critical: boolean
  /** Why it was skipped. */
  readonly reason: string | undefined
  /** What the step last said through `progress()`. */
  readonly progress: { readonly value: number; readonly total: number | undefined } | undefined
}

export interface PipelineReport {
  readonly pipeline: string
  readonly runId: string
  readonly outcome: 'running' | 'success' | 'failure' | 'cancelled'
  /** Steps that ended, of all. */
  readonly completed: number
  readonly durationMs: number
  /** The chain of steps that took longest. */
  readonly criticalPath: readonly string[]
  readonly criticalPathMs: number
  readonly steps: readonly StepReport[]
}

/** The parts of a run that a report is made from. */
export interface Reported {
  readonly pipeline: string
  readonly id: string
  readonly outcome: PipelineReport['outcome']
  readonly startedAt: number
  readonly endedAt: number
  readonly states: readonly StepState[]
  readonly graph: Pick<Graph, 'needs' | 'order'>
}

export function reportOf(run: Reported): PipelineReport {
  const { states, graph } = run
  const { path, lengthMs, slackMs } = criticalPath(states, graph.needs, graph.order)
  const critical = new Set(path)
  return {
    pipeline: run.pipeline,
    runId: run.id,
    outcome: run.outcome,
    completed: states.filter((state) => state.endedAt > 0).length,
    durationMs: round((run.endedAt || performance.now()) - run.startedAt),
    criticalPath: path.map((at) => (states[at] as StepState).id),
    criticalPathMs: round(lengthMs),
    steps: states.map((state, at) => ({
      id: state.id,
      after: (graph.needs[at] ?? []).map((need) => (states[need] as StepState).id),
      status: state.status,
      attempt: state.attempt,
      waitMs: round(state.waitMs),
      durationMs: round(state.durationMs),
      slackMs: round(slackMs[at] as number),
      critical: critical.has(at),
      reason: state.reason,
      progress: state.progress,
    })),
  }
}
