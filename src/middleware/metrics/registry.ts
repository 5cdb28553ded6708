// The instruments of one registry and prefix: made once, found again by a second instance or a hot reload.
import type { Registry } from 'prom-client'
import { TaskspanError } from '../../kernel/errors.ts'
import { fault, faults } from '../../kernel/faults.ts'
import { identity, isIdentified } from '../../kernel/identity.ts'
import { DEFAULT_PREFIX, METRIC, type MetricKey, type MetricName } from '../../kernel/names.ts'
import type { Task } from '../../kernel/task.ts'
import type { MetricsOptions } from '../metrics.ts'
import { Histogram, Values } from './instruments.ts'
import { LabelCaps } from './labels.ts'
import { Running } from './running.ts'
import {
  type Cells,
  type CounterKey,
  MAX_SERIES,
  type StepSeries,
  stepSeries,
  type TaskSeries,
  taskSeries,
} from './series.ts'

const DURATION = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400,
]
const WAIT = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400]
const MAX_HISTOGRAM_SERIES = 1_000
const MAX_USER_VALUES = 20

export type Instruments = Cells & {
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
