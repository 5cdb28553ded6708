// One run of a graph that another executor runs: the states of its steps, and what is said at its end.
import { type Attributes, type Context, context } from '@opentelemetry/api'
import { MAX_NAME } from '../kernel/create-task.ts'
import { guard } from '../kernel/faults.ts'
import { errorType, failed, succeeded } from '../kernel/outcome.ts'
import { inside, runInContext } from '../kernel/scope.ts'
import type { Middleware, Task } from '../kernel/task.ts'
import { analyse } from './analysis.ts'
import { viewsOf } from './picture.ts'
import { type PipelineReport, type Reported, StepState } from './report.ts'
import { links, logOf, openStep, progressOf, type StepsOf, type StepVoice, settled, skipped } from './step-task.ts'
import type { traceStep } from './trace.ts'

const MAX_NEED_IDS = 64

/** A run whose steps another executor starts. */
export interface TracedPipeline {
  readonly runId: string
  /** `traceStep` for this run, where the executor has lost the async context. */
  readonly step: typeof traceStep
  report(): PipelineReport
  toMermaid(): string
  toDot(): string
}

/** What a traced step's function gets. */
export interface TracedStep extends StepVoice {
  /** 1-based: how often this id has been traced in this run. */
  readonly attempt: number
  /** Makes the outcome `skipped`. */
  readonly skip: (reason: string) => void
}

export interface TracePipelineOptions {
  /** Names the run in spans and logs. Default: made. */
  readonly id?: string | undefined
  /** Whether it was aborted tells a cancelled run from a failed one. Default: that of the task, or step, that it runs in. */
  readonly signal?: AbortSignal | undefined
}

export interface TraceStepOptions {
  /** How often the executor tries this step: a failure before the last attempt is a `retry`. Default 1. */
  readonly attempts?: number | undefined
}

export class TracedRun implements Reported, StepsOf {
  readonly rules = RULES
  readonly details: Attributes
  readonly states: StepState[] = []
  readonly startedAt = performance.now()
  endedAt = 0
  outcome: PipelineReport['outcome'] = 'running'
  private readonly needs: (readonly number[])[] = []
  private readonly index = new Map<string, number>()
  private task: Task | undefined
  private context: Context | undefined

  constructor(
    readonly pipeline: string,
    private readonly onion: Middleware,
    readonly id: string,
  ) {
    this.pipeline = pipeline.slice(0, MAX_NAME)
    this.details = { 'pipeline.name': this.pipeline, 'pipeline.run_id': id }
  }

  // A need that started later than its step is none: in the order of starting, each step stands after its needs.
  get graph(): Reported['graph'] {
    const order = this.states.map((_, at) => at)
    return { order, needs: this.needs.map((list, at) => list.filter((need) => need < at)) }
  }

  async execute<T>(task: Task, run: (pipeline: TracedPipeline) => T | Promise<T>, step: typeof traceStep): Promise<T> {
    this.task = task
    this.context = guard('pipeline', 'context', () => context.active())
    try {
      const result = await run({ runId: this.id, step, ...viewsOf(this) })
      this.outcome = 'success'
      return result
    } catch (error) {
      this.outcome = task.signal?.aborted ? 'cancelled' : 'failure'
      throw error
    } finally {
      this.endedAt = performance.now()
      analyse(this.onion, task, this, { 'pipeline.steps': this.states.length })
    }
  }

  // An executor starts a step wherever the one before it ended: from here on it is in the pipeline's own context again.
  traceStep(
    id: string,
    needs: readonly string[],
    fn: (step: TracedStep) => unknown,
    options: TraceStepOptions,
  ): Promise<unknown> {
    const pipeline = this.task as Task
    const start = (): Promise<unknown> => inside(pipeline, () => this.start(id, needs, fn, options))
    return this.context === undefined ? start() : runInContext(this.context, start)
  }

  private async start(
    id: string,
    needs: readonly string[],
    fn: (step: TracedStep) => unknown,
    { attempts = 1 }: TraceStepOptions,
  ): Promise<unknown> {
    const at = this.add(id, needs)
    const state = this.states[at] as StepState
    const ids = needs.slice(0, MAX_NEED_IDS).map((need) => String(need).slice(0, MAX_NAME))
    const found = links(this.states, this.needs[at] as readonly number[])
    const task = openStep(this, state, ids, found, state.attempt + 1, attempts, this.task?.signal)
    const step: TracedStep = {
      get log() {
        return logOf(task)
      },
      progress: progressOf(state),
      attempt: task.attempt,
      skip: (reason) => skipped(task, String(reason)),
    }
    try {
      const result = await inside(task, () => this.onion(task, () => settled(() => fn(step))))
      const { outcome } = succeeded(task)
      state.status = outcome === 'skipped' ? outcome : 'success'
      return result
    } catch (error) {
      const { outcome } = failed(task, error)
      state.status = outcome === 'timeout' || outcome === 'cancelled' ? outcome : 'failure'
      throw error
    } finally {
      state.endedAt = performance.now()
      state.span = guard('pipeline', 'span', () => task.span?.spanContext())
    }
  }

  private add(id: string, needs: readonly string[]): number {
    let at = this.index.get(id)
    if (at === undefined) {
      at = this.states.push(new StepState(id)) - 1
      this.index.set(id, at)
      const known = needs.flatMap((need) => this.index.get(need) ?? []).filter((need) => need !== at)
      this.needs.push(known)
      const ends = known.map((need) => (this.states[need] as StepState).endedAt)
      ;(this.states[at] as StepState).readyAt = ends.length === 0 ? performance.now() : Math.max(...ends)
    }
    return at
  }
}

const RULES: StepsOf['rules'] = {
  judge(error, task) {
    if (errorType(error) === 'TimeoutError') return 'timeout'
    return task.attempt < (task.maxAttempts ?? 1) ? 'retry' : 'failure'
  },
}
