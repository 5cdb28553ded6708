// The same spans, metrics and log lines for a graph that another executor runs.
import { randomUUID } from 'node:crypto'
import { compose } from '../kernel/compose.ts'
import { createTask, MAX_NAME } from '../kernel/create-task.ts'
import { checkOptions, show, TaskspanError } from '../kernel/errors.ts'
import { fault } from '../kernel/faults.ts'
import { currentTask, inside } from '../kernel/scope.ts'
import type { Middleware } from '../kernel/task.ts'
import { abortSignal, runId } from './options.ts'
import { settled } from './step-task.ts'
import {
  type TracedPipeline,
  TracedRun,
  type TracedStep,
  type TracePipelineOptions,
  type TraceStepOptions,
} from './traced-run.ts'

export type { TracedPipeline, TracedStep, TracePipelineOptions, TraceStepOptions }

/**
 * Gives the executor that you have (p-graph, a build tool, a loop) the span, metrics and log lines of a pipeline. What
 * `run` returns or throws passes through unchanged.
 *
 * @param name its span is `<name>.pipeline`
 * @param middleware usually one `telemetry()`; several are composed
 * @throws {TaskspanError} `INVALID_OPTION`, `UNKNOWN_OPTION`; as a rejection
 * @example
 * const nodes = new Map(steps.map(({ id, needs, work }) => [id, { run: () => traceStep(id, needs, work) }]))
 * await tracePipeline('build', telemetry(), () => new PGraph(nodes, edges).run())
 */
export async function tracePipeline<T>(
  name: string,
  middleware: Middleware | readonly Middleware[],
  run: (pipeline: TracedPipeline) => T | Promise<T>,
  options: TracePipelineOptions = {},
): Promise<T> {
  if (typeof name !== 'string' || typeof run !== 'function') {
    const what = `tracePipeline: it takes a name, middleware and a function, got ${show(name)} and ${show(run)}.`
    throw new TaskspanError('INVALID_OPTION', what)
  }
  checkOptions(`tracePipeline '${name}'`, options, { id: runId, signal: abortSignal })
  const onion = compose(...(Array.isArray(middleware) ? middleware : [middleware as Middleware]))
  const traced = new TracedRun(name, onion, options.id ?? randomUUID())
  const task = createTask(
    'pipeline',
    { name: traced.pipeline, queue: traced.pipeline, id: traced.id, details: traced.details },
    { message: traced, signal: options.signal ?? currentTask()?.signal },
  )
  const step = ((id: string, ...rest: unknown[]) => stepIn(traced, id, rest)) as typeof traceStep
  return (await settled(() => inside(task, () => onion(task, () => traced.execute(task, run, step))))) as T
}

/**
 * Runs one step of the traced pipeline around it: the same span, metrics and log lines as a step of `pipeline()`. What
 * `fn` returns or throws passes through unchanged. Outside of any traced pipeline it runs `fn` and counts the fault.
 *
 * @param id a fixed word: it is a metric label
 * @param needs ids of the steps that it waited for; their spans are linked
 */
export function traceStep<T>(
  id: string,
  fn: (step: TracedStep) => T | Promise<T>,
  options?: TraceStepOptions,
): Promise<T>
export function traceStep<T>(
  id: string,
  needs: readonly string[],
  fn: (step: TracedStep) => T | Promise<T>,
  options?: TraceStepOptions,
): Promise<T>
export function traceStep(id: string, ...rest: unknown[]): Promise<unknown> {
  return stepIn(surrounding(), id, rest)
}

function surrounding(): TracedRun | undefined {
  let task = currentTask()
  while (task !== undefined && task.kind !== 'pipeline') task = task.parent
  return task?.message instanceof TracedRun ? task.message : undefined
}

function stepIn(run: TracedRun | undefined, id: string, rest: unknown[]): Promise<unknown> {
  const [needs, fn, options = {}] = (Array.isArray(rest[0]) ? rest : [[], ...rest]) as [
    readonly string[],
    (step: TracedStep) => unknown,
    TraceStepOptions?,
  ]
  if (typeof fn !== 'function') {
    const what = `traceStep: the step '${String(id)}' has no function.`
    return Promise.reject(new TaskspanError('INVALID_OPTION', what))
  }
  if (run !== undefined) return run.traceStep(String(id).slice(0, MAX_NAME), needs, fn, options)
  fault('pipeline', 'step_outside_of_pipeline')
  return settled(() => fn({ log: console, progress: () => {}, attempt: 1, skip: () => {} }))
}
