// Counts and times every task, step, pipeline and send into a prom-client registry.
import { register as defaultRegistry, type Registry } from 'prom-client'
import { around } from '../kernel/around.ts'
import { checkOptions } from '../kernel/errors.ts'
import type { TaskEvent } from '../kernel/event.ts'
import { ATTR, DEFAULT_PREFIX, prefixWrong } from '../kernel/names.ts'
import type { Started } from '../kernel/observe.ts'
import { type Ending, errorType, rejectReason } from '../kernel/outcome.ts'
import type { Middleware, Schedule, Task } from '../kernel/task.ts'
import { buckets, labelFunctions } from './metrics/checks.ts'
import { addReport } from './metrics/exchange.ts'
import { sampledSpan } from './metrics/exemplar.ts'
import { type Instruments, instruments } from './metrics/registry.ts'
import type { Place } from './metrics/running.ts'
import type { TaskSeries } from './metrics/series.ts'

export { type Rendered, render } from './metrics/render.ts'

export interface MetricsOptions {
  /** Prefix of metric names. Default `taskiq`. */
  readonly prefix?: string | undefined
  /** Where the metrics stand. Default: prom-client's own default registry. */
  readonly registry?: Registry | undefined
  /** Up to three labels of your own on the task metrics, 20 values each: `{ tier: (task) => … }`. Never an id. */
  readonly labels?: Readonly<Record<string, (task: Task) => string | undefined>> | undefined
  /** Upper bounds in seconds, ascending. Default: 5 ms to 4 h. */
  readonly durationBuckets?: readonly number[] | undefined
  /** Upper bounds in seconds, ascending. Default: 50 ms to 4 h. */
  readonly waitBuckets?: readonly number[] | undefined
}

/** The metrics middleware, and what a server needs of it. */
export interface Metrics extends Middleware {
  readonly registry: Registry
  /** Of metric names. */
  readonly prefix: string
  /** The tasks running now, oldest first. */
  readonly running: ReadonlySet<Task>
}

/**
 * Middleware that counts and times tasks in prom-client's registry. Asked twice for one registry and prefix it gives the
 * same instruments; the first options win.
 *
 * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`; `METRIC_NAME_TAKEN` when a foreign metric has the name
 * @see https://prometheus.io/docs/practices/naming/
 * @example
 * const instrument = bullmq(metrics({ labels: { tier: (task) => tierOf(task.message) } }))
 */
export function metrics(options: MetricsOptions = {}): Metrics {
  checkOptions('metrics', options, METRICS_OPTIONS)
  const registry = options.registry ?? defaultRegistry
  const all = instruments(registry, options)

  const middleware = around<Counted>({
    part: 'metrics',
    start: (task) => (task.kind === 'task' ? start(all, task) : undefined),
    end: (task, ending, counted) => end(all, task, ending, counted),
    notice: (event) => noticed(all, event),
  })
  return Object.assign(middleware, { registry, prefix: options.prefix ?? DEFAULT_PREFIX, running: all.running })
}

/** The options that `metrics()` takes, for those that pass them on. */
export const METRICS_OPTIONS = {
  prefix: prefixWrong,
  registry: (value: unknown) =>
    typeof (value as Registry | null)?.registerMetric === 'function' ? undefined : 'must be a prom-client Registry',
  labels: labelFunctions,
  durationBuckets: buckets,
  waitBuckets: buckets,
} as const

interface Counted extends Started, Place<Task> {
  readonly series: TaskSeries
}

function start(all: Instruments, task: Task): Counted {
  const series = all.ofTask(task)
  series.inProgress.add(0)
  if (task.waitMs !== undefined) series.wait.observe(Math.max(0, task.waitMs) / 1000)
  if (task.schedule !== undefined) scheduled(all, task.schedule)
  if (task.lost) countLost(all, task, task.lost)
  const counted: Counted = { series, item: task, before: undefined, after: undefined }
  all.running.enter(counted) // the last thing: what has entered will leave
  return counted
}

function end(all: Instruments, task: Task, ending: Ending, counted: Counted | undefined): void {
  if (task.kind === 'task') return endTask(all, task, ending, counted)
  const seconds = ending.durationMs / 1000
  const result = ending.threw ? 'error' : 'ok'
  if (task.kind === 'send') {
    const count = task.endAttributes?.[ATTR.batchCount] ?? task.attributes?.[ATTR.batchCount]
    const name = task.endDetails?.['task.name'] ?? task.name
    if (!ending.threw) all.sent.cell(task.queue, String(name)).add(typeof count === 'number' ? count : 1)
  } else if (task.kind === 'step') {
    const series = all.ofStep(task)
    series.ended(ending.outcome).add(1)
    // What was skipped or restored took no time: it would make every quantile look better than the work is.
    if (ending.outcome === 'skipped' || ending.outcome === 'restored') return
    series.duration(result).observe(seconds, sampledSpan(task), task.startedAt + ending.durationMs)
  } else if (task.kind === 'service') {
    all.serviceDuration.cell(task.name, result).observe(seconds, sampledSpan(task), Date.now())
  } else if (task.kind === 'ext') {
    all.extDuration.cell(task.queue, task.name, result).observe(seconds, sampledSpan(task), Date.now())
  } else if (task.kind === 'pipeline') {
    all.pipelines.cell(task.queue, ending.outcome).add(1)
    all.pipelineDuration.cell(task.queue, result).observe(seconds, sampledSpan(task), Date.now())
    const critical = task.endDetails?.['pipeline.critical_path_ms']
    if (typeof critical === 'number') all.pipelineCriticalPath.cell(task.queue, result).observe(critical / 1000)
  }
}

function endTask(all: Instruments, task: Task, ending: Ending, counted: Counted | undefined): void {
  if (counted !== undefined) all.running.leave(counted)
  const series = counted?.series ?? all.ofTask(task)
  const seconds = ending.durationMs / 1000
  const span = sampledSpan(task)
  const at = task.startedAt + ending.durationMs
  series.ended(ending.outcome).add(1)
  series.duration(ending.threw ? 'error' : 'ok').observe(seconds, span, at)
  if (ending.outcome === 'failure') series.failed(errorType(ending.error), 1, span, at)
  else if (ending.outcome === 'rejected') all.rejected.cell(task.queue, rejectReason(ending.error) ?? 'other').add(1)
  if (task.schedule !== undefined && !ending.threw) all.cronLastSuccess.cell(task.schedule.id).set(Date.now() / 1000)
}

// At the start: a run that takes long, or ends after its successor, must not set the next one back.
function scheduled(all: Instruments, schedule: Schedule): void {
  if (schedule.driftMs !== undefined) all.cronDrift.cell(schedule.id).observe(Math.max(0, schedule.driftMs) / 1000)
  planned(all, schedule)
}

function planned(all: Instruments, { id, intervalMs, nextTime }: Schedule): void {
  if (intervalMs !== undefined) all.cronInterval.cell(id).set(intervalMs / 1000)
  if (nextTime !== undefined) all.cronNextRun.cell(id).set(nextTime / 1000)
}

function countLost(all: Instruments, task: Task, count = 1): void {
  const series = all.ofTask(task)
  series.ended('lost').add(count)
  series.failed('Lost', count)
  all.lost.cell(task.queue, task.name).add(count)
}

function noticed(all: Instruments, event: TaskEvent): void {
  switch (event.kind) {
    case 'lost':
      return countLost(all, event.task)
    case 'failed':
      all.ofTask(event.task).ended('failure').add(1)
      return all.ofTask(event.task).failed(errorType(event.error))
    case 'gave_up':
      return all.ofTask(event.task).failed(errorType(event.error))
    case 'schedule':
      return (event.event === 'missed' ? all.cronMissed : all.cronOverlaps).cell(event.schedule).add(event.count)
    case 'planned':
      return planned(all, event.schedule)
    case 'dead_lettered':
      return all.deadLettered.cell(event.queue).add(1)
    case 'usage':
      for (const unit in event.amounts) {
        all.extUsage.cell(event.task.queue, event.task.name, unit).add(event.amounts[unit] as number)
      }
      return
    case 'reported':
      return addReport(all, event.report)
    case 'broker':
      return all.brokerEvents.cell(event.queue, event.event).add(1)
  }
}
