// What prom-client's registry asks of a metric, over series of our own: found once by a task, capped, read at a scrape.
import type { Metric, Registry } from 'prom-client'
import type { MetricName } from '../../kernel/names.ts'
import type { Exemplar } from './exemplar.ts'
import type { LabelCaps } from './labels.ts'

// prom-client hashes the labels on every call; a task here touches a cell that it found once. What prom-client's registry
// asks of a metric is small: name, help, type, aggregator, get(), reset(). Everything below serves these.

export interface Sample {
  labels: Record<string, string | number>
  sharedLabels?: Record<string, string>
  value: number
  metricName?: string
  exemplar?: Exemplar | undefined
}

export interface Snapshot {
  name: string
  help: string
  type: string
  aggregator: string
  values: Sample[]
}

/** Series of one metric, by label values, capped. */
export abstract class Instrument<Cell extends { touched: boolean }> {
  readonly help: string
  readonly type: string
  readonly labelNames: readonly string[]
  readonly aggregator: string
  protected readonly cells = new Map<string, { labels: Record<string, string>; cell: Cell }>()
  /** Fills the cells just before a scrape. */
  collect: (() => void) | undefined

  constructor(
    readonly fullName: string,
    definition: MetricName,
    private readonly registry: Registry,
    private readonly caps: LabelCaps,
    private readonly maxSeries: number,
    extraLabels: readonly string[] = [],
  ) {
    this.help = definition.help
    this.type = definition.type
    this.labelNames = [...definition.labels, ...extraLabels]
    this.aggregator = definition.aggregator ?? (definition.type === 'gauge' ? 'max' : 'sum')
    registry.registerMetric(this as unknown as Metric)
  }

  // prom-client's OpenMetrics scrape renames counters in place, for good, and reads them at once; ours stay as they are,
  // and get() below gives each format the name it wants. A merged registry may have another format than our own.
  get name(): string {
    return this.fullName
  }

  set name(wanted: string) {
    this.wanted = wanted
  }

  private wanted: string | undefined

  /** The cell for these label values, in the order of `labelNames`; beyond the caps, a cell of `other`. */
  cell(...values: string[]): Cell {
    let key = values.join(SEPARATOR)
    let found = this.cells.get(key)
    if (found !== undefined) return found.cell
    let capped = values.map((value, at) => this.admit(this.labelNames[at] ?? '', value))
    key = capped.join(SEPARATOR)
    if (this.cells.size >= this.maxSeries && !this.cells.has(key)) {
      this.caps.overflow('series')
      capped = capped.map((value, at) => (CLOSED.has(this.labelNames[at] ?? '') ? value : OTHER))
      key = capped.join(SEPARATOR)
    }
    found = this.cells.get(key)
    if (found === undefined) {
      const labels = Object.fromEntries(this.labelNames.map((name, at) => [name, capped[at] ?? '']))
      found = { labels, cell: this.create() }
      this.cells.set(key, found)
    }
    return found.cell
  }

  /** The series that stand now: their label values and their cells. */
  *entries(): Iterable<readonly [readonly string[], Cell]> {
    for (const { labels, cell } of this.cells.values()) if (cell.touched) yield [Object.values(labels), cell]
  }

  async get(): Promise<Snapshot> {
    const snapshot = await this.getForPromString()
    for (const sample of snapshot.values) {
      if (sample.sharedLabels === undefined) continue
      sample.labels = { ...sample.sharedLabels, ...sample.labels }
      delete sample.sharedLabels
    }
    return snapshot
  }

  async getForPromString(): Promise<Snapshot> {
    this.collect?.()
    const values: Sample[] = []
    for (const { labels, cell } of this.cells.values()) if (cell.touched) this.sample(labels, cell, values)
    const stripped = this.type === 'counter' && isOpenMetrics(this.registry)
    const name = this.wanted ?? (stripped ? this.fullName.replace(/_total$/, '') : this.fullName)
    this.wanted = undefined
    return { name, help: this.help, type: this.type, aggregator: this.aggregator, values }
  }

  /** As prom-client's: series vanish until they are touched again. Cells that tasks hold stay valid. */
  reset(): void {
    for (const { cell } of this.cells.values()) {
      cell.touched = false
      this.clear(cell)
    }
  }

  protected admit(label: string, value: string): string {
    return this.caps.admit(label, value)
  }

  protected abstract create(): Cell
  protected abstract clear(cell: Cell): void
  protected abstract sample(labels: Record<string, string>, cell: Cell, into: Sample[]): void
}

// Labels with few values of our own. They outlive the cap on series, or failure rates would be wrong beyond it.
const CLOSED: ReadonlySet<string> = new Set(['task_type', 'outcome', 'result', 'reason', 'part'])

function isOpenMetrics(registry: Registry): boolean {
  return (registry.contentType as string).startsWith('application/openmetrics-text')
}

const OTHER = 'other'
export const SEPARATOR = '\u0000'
