// The instruments of one registry and prefix: made once, found again by a second instance or a hot reload.
import type { SpanContext } from '@opentelemetry/api'
import type { Registry } from 'prom-client'
import { TaskspanError } from '../../kernel/errors.ts'
import { atOnce, fault, faults, guard } from '../../kernel/faults.ts'
import { identity, isIdentified } from '../../kernel/identity.ts'
import { DEFAULT_PREFIX, METRIC, type MetricKey, type MetricName } from '../../kernel/names.ts'
import type { Outcome } from '../../kernel/outcome.ts'
import type { Task } from '../../kernel/task.ts'
import type { MetricsOptions } from '../metrics.ts'
import { type Distribution, Histogram, type Value, Values } from './instruments.ts'
import { LabelCaps, short } from './labels.ts'
import { Running } from './running.ts'

const DURATION = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400,
]
const WAIT = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400]
const MAX_HISTOGRAM_SERIES = 1_000
export const MAX_SERIES = 5_000
const MAX_USER_LABELS = 3
const MAX_USER_VALUES = 20

/** The cells that one kind of task touches, found by one look-up per task. */
export interface TaskSeries {
  readonly inProgress: Value
  readonly wait: Distribution
  ended(outcome: Outcome): Value
  duration(result: 'ok' | 'error'): Distribution
  failed(type: string, count?: number, span?: SpanContext, at?: number): void
}

type CounterKey = { [K in MetricKey]: (typeof METRIC)[K]['type'] extends 'histogram' ? never : K }[MetricKey]
type HistogramKey = Exclude<MetricKey, CounterKey>

/** The cells of one step of one pipeline. */
export interface StepSeries {
  ended(outcome: Outcome): Value
  duration(result: 'ok' | 'error'): Distribution
}

export type Instruments = Record<CounterKey, Values> &
  Record<HistogramKey, Histogram> & {
    readonly running: Running<Task>
    readonly caps: LabelCaps
    readonly ofTask: (task: Task) => TaskSeries
    readonly ofStep: (task: Task) => StepSeries
    /** What the options were; a second caller with others is told once. */
    readonly signature: string
  }

const OPTIONS_DIFFER = 'the labels or buckets differ from those given first for this registry; the first ones hold'

// On the metric object itself, so that another copy of the package (a hot reload) finds the instruments again.
const BRAND = Symbol.for('taskspan.instruments.1')

export function instruments(registry: Registry, options: MetricsOptions): Instruments {
  const prefix = options.prefix ?? DEFAULT_PREFIX
  const signature = JSON.stringify([Object.keys(options.labels ?? {}), options.durationBuckets, options.waitBuckets])
  const known = instrumentsOf(registry, prefix)
  if (known !== undefined) {
    if (known.signature !== signature) fault('metrics', 'options_differ', new Error(OPTIONS_DIFFER))
    return known
  }
  for (const metric of Object.values(METRIC)) {
    const name = fullName(prefix, metric)
    if (registry.getSingleMetric(name) === undefined) continue
    throw new TaskspanError('METRIC_NAME_TAKEN', `metrics: '${name}' is already registered by something else.`)
  }
  const made = create(registry, prefix, options, signature)
  Object.assign(made.tasks, { [BRAND]: made })
  return made
}

/** The instruments that stand in a registry already. */
export function instrumentsOf(registry: Registry, prefix: string): Instruments | undefined {
  const marker = registry.getSingleMetric(fullName(prefix, METRIC.tasks)) as { [BRAND]?: Instruments } | undefined
  return marker?.[BRAND]
}

function create(registry: Registry, prefix: string, options: MetricsOptions, signature: string): Instruments {
  const own = Object.entries(options.labels ?? {})
  const extra = own.map(([name]) => name)
  const caps = new LabelCaps(Object.fromEntries(extra.map((name) => [name, MAX_USER_VALUES])))
  const made: Record<string, Values | Histogram> = {}
  for (const [key, metric] of Object.entries(METRIC) as [MetricKey, MetricName][]) {
    const name = fullName(prefix, metric)
    const labels = USER_LABELLED.has(key) ? extra : []
    made[key] =
      metric.type === 'histogram'
        ? new Histogram(name, metric, registry, caps, MAX_HISTOGRAM_SERIES, bounds(key, options), labels)
        : new Values(name, metric, registry, caps, MAX_SERIES, labels)
  }
  const running = new Running<Task>()
  const all = made as unknown as Cells
  collectGauges(all, running, caps)
  return Object.assign(all, { running, signature, caps, ofTask: taskSeries(all, own), ofStep: stepSeries(all) })
}

const USER_LABELLED: ReadonlySet<string> = new Set(['tasks', 'duration', 'wait', 'failures'])

type Cells = Record<CounterKey, Values> & Record<HistogramKey, Histogram>
type OwnLabel = readonly [string, (task: Task) => string | undefined]

function taskSeries(all: Cells, own: readonly OwnLabel[]): (task: Task) => TaskSeries {
  const known = new Tree<TaskSeries>(MAX_KNOWN)
  return (task) => {
    let found = known.below(task.queue).below(task.name).below(task.type)
    if (own.length === 0) {
      found.value ??= seriesOf(all, task, NO_LABELS)
      return found.value
    }
    const extra = own.map(([, read]) => labelOf(read, task))
    for (const label of extra) found = found.below(label)
    found.value ??= seriesOf(all, task, extra)
    return found.value
  }
}

// Apart from what finds it: the closures' variables would be put on the heap for each task, also where none is made.
function seriesOf(all: Cells, { queue, name, type }: Task, extra: readonly string[]): TaskSeries {
  return {
    inProgress: all.inProgress.cell(queue, name),
    wait: all.wait.cell(queue, name, ...extra),
    ended: cells((outcome) => all.tasks.cell(queue, name, type, outcome, ...extra)),
    duration: cells((result) => all.duration.cell(queue, name, type, result, ...extra)),
    failed(error, count = 1, span, at = Date.now()) {
      const cell = all.failures.cell(queue, name, type, error, ...extra)
      cell.add(count)
      if (span !== undefined) cell.mark(span, at)
    },
  }
}

const NO_LABELS: readonly string[] = []

function labelOf(read: (task: Task) => string | undefined, task: Task): string {
  return guard('metrics', 'labels', () => short(String(atOnce(read(task)) ?? ''))) ?? ''
}

function stepSeries(all: Cells): (task: Task) => StepSeries {
  const known = new Tree<StepSeries>(MAX_KNOWN)
  return (task) => {
    const found = known.below(task.queue).below(task.name)
    found.value ??= stepSeriesOf(all, task)
    return found.value
  }
}

function stepSeriesOf(all: Cells, { queue, name }: Task): StepSeries {
  return {
    ended: cells((outcome) => all.steps.cell(queue, name, outcome)),
    duration: cells((result) => all.stepDuration.cell(queue, name, result)),
  }
}

// Beyond this many, places are made anew at each look-up: the cells behind them are capped, what finds them must be too.
const MAX_KNOWN = 4 * MAX_SERIES

/** Finds by a list of texts, with one plain look-up for each: joining them would cost a task more than all it counts. */
class Tree<T> {
  value: T | undefined
  private readonly places = new Map<string, Tree<T>>()

  constructor(
    private readonly limit: number,
    private readonly root?: Tree<T>,
    private size = 0,
  ) {}

  below(text: string): Tree<T> {
    let place = this.places.get(text)
    if (place === undefined) {
      const root = this.root ?? this
      place = new Tree(this.limit, root)
      if (root.size < this.limit) {
        root.size++
        this.places.set(text, place)
      }
    }
    return place
  }
}

/** Makes a cell when it is first asked for: a label value that never occurs must not take up a series. */
function cells<Key, Cell>(make: (key: Key) => Cell): (key: Key) => Cell {
  const made = new Map<Key, Cell>()
  let latest: { readonly key: Key; readonly cell: Cell } | undefined
  const find = (key: Key): Cell => {
    const cell = made.get(key) ?? make(key)
    made.set(key, cell)
    latest = { key, cell }
    return cell
  }
  return (key) => (latest?.key === key ? latest.cell : find(key)) // mostly as the last task ended
}

function collectGauges(all: Record<CounterKey, Values>, running: ReadonlySet<Task>, caps: LabelCaps): void {
  all.inProgress.collect = () => {
    // Counted anew: a sum of starts and ends would be wrong for good after one `resetMetrics()`.
    all.inProgress.zero()
    for (const { queue, name } of running) all.inProgress.cell(queue, name).add(1)
  }
  all.oldestRunning.collect = () => {
    all.oldestRunning.reset()
    const now = performance.now()
    // In the order of their start: the first task of a queue is its oldest.
    const seen = new Set<string>()
    for (const { queue, clock } of running) {
      if (seen.has(queue)) continue
      seen.add(queue)
      all.oldestRunning.cell(queue).set((now - clock) / 1000)
    }
  }
  all.telemetryErrors.collect = () => {
    for (const [kind, count] of faults()) {
      const [part = '', reason = ''] = kind.split(' ')
      all.telemetryErrors.cell(part, reason).set(count)
    }
  }
  all.labelOverflow.collect = () => {
    for (const [label, count] of caps.overflows) all.labelOverflow.cell(label).set(count)
  }
  all.workerInfo.collect = () => {
    if (!isIdentified()) return
    const { app, worker, service, version, environment } = identity()
    all.workerInfo.reset()
    all.workerInfo.cell(app, worker, service, version, environment).set(1)
  }
}

function bounds(key: MetricKey, options: MetricsOptions): readonly number[] {
  if (key === 'wait' || key === 'cronDrift') return options.waitBuckets ?? WAIT
  return options.durationBuckets ?? DURATION
}

export function fullName(prefix: string, metric: MetricName): string {
  return `${prefix}_${metric.name}`
}

/** Check for the bucket options: ascending positive numbers, at most 50. */
export function buckets(value: unknown): string | undefined {
  const ok =
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= 50 &&
    value.every((bound, at) => Number.isFinite(bound) && bound > (at === 0 ? 0 : (value[at - 1] as number)))
  return ok ? undefined : 'must be 1 to 50 ascending numbers of seconds'
}

/** Check for the `labels` option: at most three functions under names that Prometheus allows and we do not use. */
export function labelFunctions(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'must be an object of functions'
  const entries = Object.entries(value)
  if (entries.length > MAX_USER_LABELS) return `must have at most ${MAX_USER_LABELS} labels`
  const taken = new Set<string>(['le', 'quantile', ...Object.values(METRIC).flatMap((metric) => [...metric.labels])])
  for (const [name, read] of entries) {
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) || name.startsWith('__'))
      return `has the label '${name}', which Prometheus refuses`
    if (taken.has(name)) return `has the label '${name}', which is taken`
    if (typeof read !== 'function') return `must have a function for '${name}'`
  }
  return undefined
}
