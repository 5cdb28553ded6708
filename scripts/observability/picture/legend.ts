// Names and colours below a plot, in as many rows as they need, three at most.
import type { Curve } from './curves.ts'
import { type Box, COLOURS, fitted, rect, text, widthOf } from './svg.ts'

const ROW = 14
const MOST_ROWS = 3
const WIDEST = 230

interface Entry {
  readonly name: string
  readonly colour: string
}

/** What is left of the area for the plot, and the legend below it. */
export function withLegend(area: Box, curves: readonly Curve[], left: number): { box: Box; legend: string } {
  const more = left > 0 ? [{ name: `and ${left} more`, colour: COLOURS.faint }] : []
  const rows = broken([...curves, ...more], area.w - 8).slice(0, MOST_ROWS)
  const top = area.y + area.h - rows.length * ROW + 8
  const legend = rows.flatMap((row, at) => row.map(({ entry, x }) => drawn(entry, area.x + 4 + x, top + at * ROW)))
  return { box: { ...area, h: area.h - rows.length * ROW - 2 }, legend: legend.join('') }
}

function broken(entries: readonly Entry[], width: number): { entry: Entry; x: number }[][] {
  const rows: { entry: Entry; x: number }[][] = [[]]
  let x = 0
  for (const { name, colour } of entries) {
    const entry = { name: fitted(name, Math.min(width - 16, WIDEST), 10), colour }
    const own = widthOf(entry.name, 10) + 22
    if (x + own > width && x > 0) {
      rows.push([])
      x = 0
    }
    rows.at(-1)?.push({ entry, x })
    x += own
  }
  return rows
}

export function drawn({ name, colour }: Entry, x: number, y: number): string {
  return rect({ x, y: y - 2, w: 10, h: 3 }, colour) + text(x + 14, y + 3, name, { size: 10, fill: COLOURS.faint })
}
