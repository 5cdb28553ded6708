// Where one task's or step's cells are found: by plain look-ups on its own texts, made once per place.
import type { SpanContext } from '@opentelemetry/api'
import { atOnce, guard } from '../../kernel/faults.ts'
import type { METRIC, MetricKey } from '../../kernel/names.ts'
import type { Outcome } from '../../kernel/outcome.ts'
import type { Task } from '../../kernel/task.ts'
import type { Distribution, Histogram, Value, Values } from './instruments.ts'
import { short } from './labels.ts'

/** Label sets of a metric; those of histograms, which are many series each, are fewer. */
export const MAX_SERIES = 5_000

/** The cells that one kind of task touches, found by one look-up per task. */
export interface TaskSeries {
  readonly inProgress: Value
  readonly wait: Distribution
  ended(outcome: Outcome): Value
  duration(result: 'ok' | 'error'): Distribution
  failed(type: string, count?: number, span?: SpanContext, at?: number): void
}

/** The cells of one step of one pipeline. */
export interface StepSeries {
  ended(outcome: Outcome): Value
  duration(result: 'ok' | 'error'): Distribution
}

export type CounterKey = { [K in MetricKey]: (typeof METRIC)[K]['type'] extends 'histogram' ? never : K }[MetricKey]
export type HistogramKey = Exclude<MetricKey, CounterKey>

export type Cells = Record<CounterKey, Values> & Record<HistogramKey, Histogram>
type OwnLabel = readonly [string, (task: Task) => string | undefined]

export function taskSeries(all: Cells, own: readonly OwnLabel[]): (task: Task) => TaskSeries {
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

export function stepSeries(all: Cells): (task: Task) => StepSeries {
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
