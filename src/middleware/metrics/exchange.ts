// Numbers between processes: what has grown here since it was last told, and what others tell, added where it belongs.
import { fault } from '../../kernel/faults.ts'
import { METRIC, type MetricKey } from '../../kernel/names.ts'
import type { Change, ExemplarOf } from '../../kernel/report/changes.ts'
import type { Report } from '../../kernel/report.ts'
import type { Exemplar } from './exemplar.ts'
import { type Distribution, Histogram, type Value, Values } from './instruments.ts'
import type { Instruments } from './registry.ts'

// Growth, not totals: what was told may be forgotten, a process that dies takes nothing back, and the receiver's caps hold.

const KEYS = Object.keys(METRIC) as MetricKey[]
/** Counted by the process and not by this registry; told as faults and overflows. */
const ELSEWHERE: ReadonlySet<string> = new Set<MetricKey>(['telemetryErrors', 'labelOverflow'])

/** Takes out what counters and histograms have grown by: told once, by whoever asks. */
export function takeChanges(all: Instruments): Change[] {
  const changes: Change[] = []
  for (const metric of KEYS) {
    const instrument = all[metric]
    if (ELSEWHERE.has(metric) || instrument.type === 'gauge') continue
    if (instrument instanceof Histogram) {
      for (const [labels, cell] of instrument.entries()) changes.push(ofDistribution(metric, labels, cell))
    } else {
      for (const [labels, cell] of instrument.entries()) {
        changes.push({ metric, labels, value: cell.value, exemplars: exemplarsOf([cell.last?.exemplar]) })
      }
    }
    instrument.reset()
  }
  return changes
}

/** Where all gauges stand. */
export function gaugesOf(all: Instruments): Change[] {
  return KEYS.flatMap((metric) => {
    const instrument = all[metric]
    if (instrument.type !== 'gauge' || !(instrument instanceof Values)) return []
    instrument.collect?.()
    return [...instrument.entries()].map(([labels, { value }]) => ({ metric, labels, value }))
  })
}

/** What labels have gone over their caps since it was last asked. */
export function takeOverflows({ caps }: Instruments): [string, number][] {
  const taken = [...caps.overflows]
  caps.overflows.clear()
  return taken
}

function ofDistribution(metric: string, labels: readonly string[], cell: Distribution): Change {
  const exemplars = exemplarsOf(cell.last.map((last) => last?.exemplar))
  return { metric, labels, value: cell.sum, counts: [...cell.counts], bounds: cell.bounds, exemplars }
}

function exemplarsOf(given: readonly (Exemplar | undefined)[]): ExemplarOf[] | undefined {
  const found = given.flatMap((exemplar, bucket) => {
    if (exemplar === undefined) return []
    const { trace_id: traceId, span_id: spanId } = exemplar.labelSet
    const span = { traceId, spanId, traceFlags: 1 }
    return [{ bucket, span, value: exemplar.value, at: exemplar.timestamp * 1000 }]
  })
  return found.length === 0 ? undefined : found
}

/** Adds what another process has told. */
export function addReport(all: Instruments, { changes, gauges, overflows, from }: Report): void {
  for (const change of changes) {
    const instrument = instrumentOf(all, change)
    if (instrument instanceof Histogram && change.counts !== undefined) addTo(instrument.cell(...change.labels), change)
    else if (instrument?.type === 'counter' && change.value >= 0) {
      addCount((instrument as Values).cell(...change.labels), change)
    } else fault('processes', 'unknown_series')
  }
  for (const [label, count] of overflows) all.caps.overflow(label, count)
  if (gauges !== undefined && from !== undefined) standing(all, from, gauges)
}

function standing(all: Instruments, from: object, gauges: readonly Change[]): void {
  const told = gauges.filter((change) => instrumentOf(all, change)?.type === 'gauge')
  for (const metric of KEYS) {
    const instrument = all[metric]
    if (!(instrument instanceof Values) || instrument.type !== 'gauge') continue
    const own = told.filter((change) => change.metric === metric)
    if (own.length > 0) instrument.elsewhere.set(from, own)
    else instrument.elsewhere.delete(from)
  }
}

function instrumentOf(all: Instruments, { metric, labels }: Change): Values | Histogram | undefined {
  if (!Object.hasOwn(METRIC, metric) || ELSEWHERE.has(metric)) return undefined
  const instrument = all[metric as MetricKey]
  return instrument.labelNames.length === labels.length ? instrument : undefined
}

function addCount(cell: Value, { value, exemplars }: Change): void {
  cell.add(value)
  for (const { span, at } of exemplars ?? []) cell.mark(span, at)
}

function addTo(cell: Distribution, { counts = [], bounds = [], value, exemplars }: Change): void {
  cell.addAll(counts, bounds, value)
  for (const { span, value: seen, at } of exemplars ?? []) cell.mark(span, seen, at)
}
