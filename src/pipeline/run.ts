// One run of a pipeline, from its input to its outputs: a task around all steps, and what is said at its end.
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { Attributes } from '@opentelemetry/api'
import { createTask } from '../kernel/create-task.ts'
import { type Outcome, rejectReason } from '../kernel/outcome.ts'
import { currentTask, inside, surroundings } from '../kernel/scope.ts'
import type { Middleware, Task } from '../kernel/task.ts'
import { analyse } from './analysis.ts'
import { judge } from './attempt.ts'
import { checkpointKey, Resume } from './checkpoint.ts'
import type { Definition } from './definition.ts'
import { PipelineError, pipelineCancelled, pipelineFailed, type StepFailure } from './errors.ts'
import { Executor } from './executor.ts'
import { runFinalSteps } from './final.ts'
import type { Graph } from './graph.ts'
import { validated } from './input.ts'
import type { RunOptions } from './options.ts'
import { Outputs } from './outputs.ts'
import { type ProgressReporter, progressReporter } from './progress.ts'
import { type PipelineReport, type Reported, StepState } from './report.ts'
import type { StepsOf } from './step-task.ts'
import { Troubles } from './trouble.ts'

export class Run implements Reported, StepsOf {
  readonly pipeline: string
  readonly onion: Middleware
  readonly concurrency: number
  readonly onFailure: 'abort' | 'continue'
  readonly states: readonly StepState[]
  readonly outputs: Outputs
  readonly failures: StepFailure[] = []
  /** The signal of all steps. */
  readonly controller = new AbortController()
  /** Of the attempts that have a time-out. They stop with the run also when they have ended: what they started may go on. */
  readonly limits: AbortController[] = []
  /** Nothing more is started: a step failed, or the caller's signal was aborted. */
  isStopped = false
  id: string
  input: unknown
  resume: Resume | undefined
  progress: ProgressReporter | undefined
  outcome: PipelineReport['outcome'] = 'running'
  /** What stands on each of its steps. */
  details: Attributes = {}
  rules: StepsOf['rules'] = { judge: undefined }
  /** What its steps run inside of; none of them inherits from the one that made it ready. */
  where = surroundings()
  startedAt = performance.now()
  endedAt = 0
  private cancelled: { reason: unknown } | undefined
  private readonly troubles: Troubles
  private readonly outer = currentTask()
  private readonly surrounding: Task | undefined
  /** What stops the run: the caller's signal, else that of the task or step that it runs in. */
  private readonly signal: AbortSignal | undefined

  constructor(
    private readonly definition: Definition,
    readonly graph: Graph,
    input: unknown,
    readonly options: RunOptions,
  ) {
    this.pipeline = definition.name
    this.onion = definition.onion
    this.concurrency = definition.options.concurrency ?? Number.POSITIVE_INFINITY
    this.onFailure = definition.options.onFailure ?? 'abort'
    this.input = input
    this.id = options.id ?? ''
    this.signal = options.signal ?? this.outer?.signal
    this.states = graph.steps.map(({ id }) => new StepState(id))
    this.outputs = new Outputs(graph, options.keep)
    this.troubles = new Troubles(this.onion)
    setMaxListeners(0, this.controller.signal) // a thousand steps may listen to one signal
    let at = this.outer
    while (at !== undefined && at.kind !== 'task') at = at.parent
    this.surrounding = at
  }

  /** Whether an error is not a failure but the broker's control flow, by the word of the adapter around the pipeline. */
  isControlFlow(error: unknown): boolean {
    const { surrounding } = this
    return surrounding?.isControlFlow?.(error, surrounding) ?? false
  }

  async execute(): Promise<Record<string, unknown>> {
    const { checkpoint } = this.options
    if (checkpoint !== undefined) {
      const key = checkpointKey(this.pipeline, this.options.id, this.outer)
      this.resume = new Resume(checkpoint, key, this.graph, this.input, (trouble) => this.troubles.say(trouble))
      // Before the span is opened: a resumed run keeps its id, so that logs of both attempts are found by it.
      await this.resume.load()
    }
    this.id ||= this.resume?.runId ?? randomUUID()
    this.startedAt = performance.now()
    const { pipeline, id } = this
    this.details = { 'pipeline.name': pipeline, 'pipeline.run_id': id }
    const details = { ...this.details, 'pipeline.steps': this.states.length }
    const rules = { message: this, signal: this.signal, judge: (error: unknown) => this.judge(error) }
    const task = createTask('pipeline', { name: pipeline, queue: pipeline, id, details }, rules)
    try {
      return (await inside(task, () => this.onion(task, () => this.body(task)))) as Record<string, unknown>
    } catch (error) {
      this.outcome = this.outcomeOf(error)
      throw error
    } finally {
      // A middleware may not have let it begin.
      if (this.outcome === 'running') this.outcome = 'success'
      if (this.endedAt === 0) this.end()
    }
  }

  private async body(task: Task): Promise<Record<string, unknown>> {
    this.where = surroundings()
    this.rules = { judge: (error, step) => judge(this, step, error), parent: task }
    this.troubles.begin(task)
    try {
      const { schema } = this.definition
      if (schema !== undefined) this.input = await validated(this.pipeline, schema, this.input)
      this.progress = progressReporter(this.options.progress, task, this.states.length)
      await this.steps()
      const failure = this.failure()
      this.outcome = failure === undefined ? 'success' : this.outcomeOf(failure)
      const late = await runFinalSteps(this, this.outcome, failure)
      await this.resume?.settle()
      await this.progress?.end()
      const error = failure ?? late
      if (error !== undefined) throw error
      return this.outputs.result()
    } catch (error) {
      this.outcome = this.outcomeOf(error) // before the middlewares around it go on, which may read the report
      throw error
    } finally {
      this.end()
      analyse(this.onion, task, this)
    }
  }

  // Whoever keeps the report, or the task, keeps no input, no output, and nobody who waits for a time-out.
  private end(): void {
    this.endedAt = performance.now()
    this.input = undefined
    this.resume = undefined
    this.limits.length = 0
    this.outputs.releaseAll()
    for (const state of this.states) if (state.status === 'waiting') state.status = 'not_run'
  }

  private async steps(): Promise<void> {
    const { signal } = this
    const executor = new Executor(this)
    const cancel = (): void => {
      if (!this.isStopped) this.cancelled = { reason: signal?.reason }
      executor.stop(signal?.reason)
    }
    if (signal?.aborted) return cancel()
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      await executor.finished()
    } finally {
      signal?.removeEventListener('abort', cancel) // the signal may live as long as the worker
    }
  }

  /** What the run rejects with. */
  private failure(): unknown {
    const { pipeline, id: runId, failures } = this
    if (this.cancelled !== undefined) {
      const isWhole = this.states.every(({ status }, at) => this.graph.steps[at]?.final || ENDED.has(status))
      const all = { pipeline, runId, failures, outputs: this.outputs.soFar() }
      if (!isWhole || this.states.length === 0) return pipelineCancelled(this.cancelled.reason, all)
    }
    return failures[0] && this.failureOf(failures[0])
  }

  /** What it rejects with for a failed step. Control flow and refusals belong to the broker and pass through as they are. */
  failureOf(first: StepFailure): unknown {
    const { pipeline, id, failures } = this
    if (this.isControlFlow(first.error) || rejectReason(first.error) !== undefined) return first.error
    return pipelineFailed({ pipeline, runId: id, failures, outputs: this.outputs.soFar(), first })
  }

  // A run that has failed, or was cancelled, stays that.
  private outcomeOf(error: unknown): 'failure' | 'cancelled' {
    if (this.outcome === 'failure' || this.outcome === 'cancelled') return this.outcome
    return this.signal?.aborted || this.judge(error) === 'cancelled' ? 'cancelled' : 'failure'
  }

  private judge(error: unknown): Outcome {
    if (error instanceof PipelineError && error.pipeline === this.pipeline && error.code === 'PIPELINE_CANCELLED') {
      return 'cancelled'
    }
    return this.isControlFlow(error) ? 'cancelled' : 'failure'
  }
}

const ENDED: ReadonlySet<string> = new Set(['success', 'skipped', 'restored', 'failure', 'timeout'])
