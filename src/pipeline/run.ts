// One run of a pipeline, from its input to its outputs: a task around all steps, and what is said at its end.
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { Attributes } from '@opentelemetry/api'
import { notify } from '../kernel/compose.ts'
import { createTask } from '../kernel/create-task.ts'
import type { Outcome } from '../kernel/outcome.ts'
import { rejectReason } from '../kernel/outcome.ts'
import { currentTask, inside, surroundings } from '../kernel/scope.ts'
import type { Middleware, Task } from '../kernel/task.ts'
import { analyse } from './analysis.ts'
import { judge } from './attempt.ts'
import { Resume, type Trouble } from './checkpoint.ts'
import { PipelineError, pipelineCancelled, pipelineFailed, type StepFailure } from './errors.ts'
import { Executor } from './executor.ts'
import { runFinalSteps } from './final.ts'
import type { Graph, Step } from './graph.ts'
import { type StandardSchema, validated } from './input.ts'
import type { PipelineOptions, RunOptions } from './options.ts'
import { brokerReport, ProgressReporter } from './progress.ts'
import { NONE, type PipelineReport, type Reported, reportOf, StepState } from './report.ts'
import type { StepsOf } from './step-task.ts'

/** A pipeline as its builder has put it together. */
export interface Definition {
  readonly name: string
  readonly onion: Middleware
  readonly schema: StandardSchema | undefined
  readonly options: PipelineOptions
}

const MAX_SHOWN = 10

export class Run implements Reported, StepsOf {
  readonly pipeline: string
  readonly onion: Middleware
  readonly concurrency: number
  readonly onFailure: 'abort' | 'continue'
  readonly states: readonly StepState[]
  /** Outputs that somebody still reads, by step; `NONE` where there is none yet, or none any more. */
  readonly outputs: unknown[]
  readonly failures: StepFailure[] = []
  /** The signal of all steps. */
  readonly controller = new AbortController()
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
  private readonly troubles: Trouble[] = []
  private task: Task | undefined
  private readonly kept: ReadonlySet<string>
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
    this.outputs = new Array<unknown>(graph.steps.length).fill(NONE)
    setMaxListeners(0, this.controller.signal) // a thousand steps may listen to one signal
    this.kept = new Set(Array.isArray(options.keep) ? options.keep : [])
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
      this.resume = new Resume(checkpoint, this.checkpointKey(), this.graph, this.input, (trouble) => this.say(trouble))
      // Before the span is opened: a resumed run keeps its id, so that logs of both attempts are found by it.
      await this.resume.load()
    }
    this.id ||= this.resume?.runId ?? randomUUID()
    this.startedAt = performance.now()
    const { pipeline } = this
    this.details = { 'pipeline.name': pipeline, 'pipeline.run_id': this.id }
    const details = { ...this.details, 'pipeline.steps': this.states.length }
    const task = createTask(
      'pipeline',
      { name: pipeline, queue: pipeline, id: this.id, details },
      { message: this, signal: this.signal, judge: (error) => this.judge(error) },
    )
    this.task = task
    return (await inside(task, () => this.onion(task, () => this.body(task)))) as Record<string, unknown>
  }

  /** What the run did so far. */
  report(): PipelineReport {
    return reportOf(this)
  }

  private async body(task: Task): Promise<Record<string, unknown>> {
    this.where = surroundings()
    this.rules = { judge: (error, step) => judge(this, step, error), parent: task }
    for (const trouble of this.troubles) this.note(trouble)
    try {
      const { schema } = this.definition
      if (schema !== undefined) this.input = await validated(this.pipeline, schema, this.input)
      this.progress = this.reporter(task)
      await this.steps()
      const failure = this.failure()
      const isCancelled = this.signal?.aborted || this.judge(failure) === 'cancelled'
      this.outcome = failure === undefined ? 'success' : isCancelled ? 'cancelled' : 'failure'
      const late = await runFinalSteps(this, this.outcome, failure)
      await this.resume?.settle()
      await this.progress?.end()
      const error = failure ?? late
      if (error !== undefined) throw error
      return this.result()
    } catch (error) {
      if (this.outcome === 'running' || this.outcome === 'success') this.outcome = 'failure'
      throw error
    } finally {
      this.endedAt = performance.now()
      this.outputs.length = 0 // whoever keeps the report, or the task, keeps no outputs
      this.input = undefined
      for (const state of this.states) if (state.status === 'waiting') state.status = 'not_run'
      const { endDetails, details } = analyse(this)
      task.endDetails = endDetails
      notify(this.onion, { kind: 'note', task, level: 'debug', name: 'pipeline.analysis', details })
    }
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

  /** What the run rejects with. Control flow and refusals belong to the broker and pass through as they are. */
  private failure(): unknown {
    const { pipeline, id, failures } = this
    const [first] = failures
    if (first === undefined && this.cancelled === undefined) return undefined
    const all = { pipeline, runId: id, failures, outputs: this.outputsById() }
    if (this.cancelled !== undefined) {
      const isWhole = this.states.every(({ status }, at) => this.graph.steps[at]?.final || ENDED.has(status))
      if (!isWhole || this.states.length === 0) return pipelineCancelled(this.cancelled.reason, all)
    }
    if (first === undefined) return undefined
    if (this.isControlFlow(first.error) || rejectReason(first.error) !== undefined) return first.error
    return pipelineFailed({ ...all, first })
  }

  private judge(error: unknown): Outcome {
    if (error instanceof PipelineError && error.pipeline === this.pipeline && error.code === 'PIPELINE_CANCELLED') {
      return 'cancelled'
    }
    return this.isControlFlow(error) ? 'cancelled' : 'failure'
  }

  /** Whether a step's output is for the caller: it was asked for, or no other step is there to read it. */
  isKept(at: number): boolean {
    const { keep } = this.options
    return keep === true || this.graph.dependants[at]?.length === 0 || this.kept.has((this.graph.steps[at] as Step).id)
  }

  private result(): Record<string, unknown> {
    const { graph } = this
    const found: Record<string, unknown> = {}
    const add = (at: number): void => {
      found[(graph.steps[at] as Step).id] = this.output(at)
    }
    if (this.options.keep === undefined) graph.sinks.forEach(add)
    else graph.order.filter((at) => !graph.steps[at]?.final && this.isKept(at)).forEach(add)
    return found
  }

  outputsById(): Record<string, unknown> {
    const found: Record<string, unknown> = {}
    for (const [at, output] of this.outputs.entries()) {
      if (output !== NONE) found[(this.graph.steps[at] as Step).id] = output
    }
    return found
  }

  output(at: number): unknown {
    const output = this.outputs[at]
    return output === NONE ? undefined : output
  }

  private reporter(task: Task): ProgressReporter | undefined {
    const { progress } = this.options
    if (progress === undefined || progress === false) return undefined
    const report = progress === true ? brokerReport(task) : undefined
    const send = progress === true ? report && (({ percent }: { percent: number }) => report(percent)) : progress
    return send && new ProgressReporter(this.states.length, send)
  }

  // A nested pipeline's steps must not be taken for those of another step's pipeline of the same name.
  private checkpointKey(): string {
    const inside = this.outer?.kind === 'step' ? `${this.outer.queue}.${this.outer.name}>` : ''
    return `${inside}${this.pipeline}${this.options.id === undefined ? '' : `:${this.options.id}`}`
  }

  private say(trouble: Trouble): void {
    const isFirst = !this.troubles.some(({ name }) => name === trouble.name)
    if (isFirst) this.troubles.push(trouble)
    if (isFirst && this.task !== undefined) this.note(trouble)
  }

  private note({ name, steps, error }: Trouble): void {
    const details = {
      'pipeline.checkpoint.steps': steps.slice(0, MAX_SHOWN),
      'pipeline.checkpoint.count': steps.length,
    }
    notify(this.onion, { kind: 'note', task: this.task as Task, level: 'warn', name, details, error })
  }
}

const ENDED: ReadonlySet<string> = new Set(['success', 'skipped', 'restored', 'failure', 'timeout'])
