// The time axis: where on a line of cells a moment lies, in half cells, and how a duration reads.
import type { Row } from './row.ts'

export interface Axis {
  readonly start: number
  readonly span: number
  readonly cells: number
}

export function axisOf(trace: { readonly start: number; readonly end: number }, cells: number): Axis {
  // A trace of zero length still has an axis to stand on.
  return { start: trace.start, span: Math.max(trace.end - trace.start, 0.001), cells }
}

/** Ticks at round times between the start and the end: `0     100 ms     200 ms    270 ms`. */
export function ruler({ span, cells }: Axis): string {
  const end = duration(span)
  const step = roundStep(span / Math.max(1, Math.floor(cells / 12)))
  let line = '0'
  for (let time = step; time < span; time += step) {
    const label = duration(time)
    const at = Math.floor((time / span) * cells)
    // A label that would touch its neighbours is left out, not cut.
    if (at >= line.length + 2 && at + label.length + 2 <= cells - end.length) line = line.padEnd(at) + label
  }
  return line + end.padStart(cells - line.length)
}

function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  return (([1, 2, 5].find((factor) => factor * power >= least) ?? 10) as number) * power
}

export interface Bar {
  readonly before: string
  readonly wait: string
  readonly body: string
  readonly after: string
}

/** A bar of at least half a cell, with the time in the queue as a dotted line before it; `cells` columns in all. */
export function bar(axis: Axis, row: Row): Bar {
  const { cells } = axis
  const halves = cells * 2
  const from = Math.min(half(axis, row.start), halves - 1)
  const to = Math.max(half(axis, row.end), from + 1)
  const first = from >> 1
  const end = (to + 1) >> 1
  let body = ''
  for (let cell = first; cell < end; cell++) {
    const left = cell * 2 >= from
    const right = cell * 2 + 1 < to
    body += left && right ? '━' : left ? '╸' : '╺'
  }
  const waitFrom = row.waited > 0 ? Math.max(0, half(axis, row.start - row.waited) >> 1) : first
  return {
    before: ' '.repeat(Math.min(waitFrom, first)),
    wait: '┄'.repeat(Math.max(0, first - waitFrom)),
    body,
    after: ' '.repeat(Math.max(0, cells - end)),
  }
}

function half({ start, span, cells }: Axis, time: number): number {
  return Math.round(((time - start) / span) * cells * 2)
}

/** `0.42 ms`, `12 ms`, `1.24 s`, `3 m 05 s`. */
export function duration(ms: number): string {
  if (ms < 1) return `${trim(ms.toFixed(2))} ms`
  if (ms < 10) return `${trim(ms.toFixed(1))} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 59_995) return `${trim((ms / 1000).toFixed(2))} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${String(seconds % 60).padStart(2, '0')} s`
  return `${Math.floor(seconds / 3600)} h ${String(Math.floor((seconds % 3600) / 60)).padStart(2, '0')} m`
}

function trim(number: string): string {
  return number.replace(/\.?0+$/, '')
}
