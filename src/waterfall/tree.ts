// Spans into rows: grouped by trace, put below their parents, in the order of their start.
import type { HrTime } from '@opentelemetry/api'
import { type Row, toRow, type WaterfallSpan } from './row.ts'

export interface Trace {
  readonly id: string
  /** In ms since the first span of all started. */
  readonly start: number
  readonly end: number
  readonly services: readonly string[]
  readonly rows: readonly Row[]
}

/** Deeper spans are no further indented. */
const MAX_INDENT = 30

/** Arranges spans of any number of traces. Survives missing parents, cycles and chains of any depth. */
export function arrange(spans: Iterable<WaterfallSpan>): Trace[] {
  const all = [...spans].sort((a, b) => compare(a, b))
  const [first] = all
  if (first === undefined) return []
  const names = new Map(all.map((span) => [span.spanContext().spanId, span.name]))
  const byTrace = new Map<string, WaterfallSpan[]>()
  for (const span of all) {
    const { traceId } = span.spanContext()
    const group = byTrace.get(traceId)
    if (group === undefined) byTrace.set(traceId, [span])
    else group.push(span)
  }
  const origin = first.startTime
  return [...byTrace].map(([id, group]) => toTrace(id, group, origin, names))
}

function toTrace(id: string, spans: WaterfallSpan[], origin: HrTime, names: ReadonlyMap<string, string>): Trace {
  const known = new Set(spans.map((span) => span.spanContext().spanId))
  const children = new Map<string, WaterfallSpan[]>()
  const roots: WaterfallSpan[] = []
  for (const span of spans) {
    const parent = span.parentSpanContext?.spanId
    const siblings = parent === undefined ? undefined : children.get(parent)
    if (parent === undefined || !known.has(parent)) roots.push(span)
    else if (siblings === undefined) children.set(parent, [span])
    else siblings.push(span)
  }

  const rows: Row[] = []
  const seen = new Set<WaterfallSpan>()
  // A stack instead of recursion: a chain of 10,000 spans is legal. Later roots take in what a cycle hid from the first.
  for (const root of [...roots, ...spans]) {
    const stack: Pending[] = [{ span: root, parent: undefined, prefix: '', last: true }]
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const { span, parent, prefix, last } = next
      if (seen.has(span)) continue
      seen.add(span)
      const below = children.get(span.spanContext().spanId) ?? []
      const row = toRow(span, parent, origin, names)
      const deep = prefix.length >= MAX_INDENT
      const inner = parent === undefined || deep ? prefix : prefix + (last ? '   ' : '│  ')
      row.stem = parent === undefined ? '' : prefix + (deep ? '┆  ' : last ? '└─ ' : '├─ ')
      row.under = inner + (below.length > 0 ? '│  ' : '   ')
      rows.push(row)
      for (let at = below.length - 1; at >= 0; at--) {
        const child = below[at]
        if (child !== undefined) stack.push({ span: child, parent: row, prefix: inner, last: at === below.length - 1 })
      }
    }
  }
  return {
    id,
    start: rows.reduce((least, row) => Math.min(least, row.start), Number.POSITIVE_INFINITY),
    end: rows.reduce((most, row) => Math.max(most, row.end), 0),
    services: [...new Set(rows.map((row) => row.service))].filter((service) => service !== ''),
    rows,
  }
}

interface Pending {
  readonly span: WaterfallSpan
  readonly parent: Row | undefined
  readonly prefix: string
  readonly last: boolean
}

function compare(a: WaterfallSpan, b: WaterfallSpan): number {
  return a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1]
}
