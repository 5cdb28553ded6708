// Series over time: lines, stacked areas and bars, with their axes and limits.
import { type Curve, curvesOf, type Point } from './curves.ts'
import { withLegend } from './legend.ts'
import type { Answered, PanelJson, Span } from './results.ts'
import { type Box, COLOURS, colourOf, line, nothing, round, text } from './svg.ts'
import { clock, ticks, written } from './units.ts'

interface Scale {
  readonly box: Box
  x(time: number): number
  y(value: number): number
}

interface Limit {
  readonly value: number
  readonly color: string
}

export function plot(panel: PanelJson, answered: readonly Answered[], area: Box, times: Span): string {
  const { unit, min, max, thresholds } = panel.fieldConfig?.defaults ?? {}
  const { shown, left, isStacked, areBars } = curvesOf(panel, answered)
  if (shown.length === 0) return nothing(area)
  const values = shown.flatMap(({ points }) => points.map(([, value]) => value))
  const limits = (thresholds?.steps ?? []).filter((step): step is Limit => step.value !== null)
  const marks = ticks(min ?? Math.min(0, ...values), max ?? top(values, limits), unit)
  const { box, legend } = withLegend(area, shown, left)
  const scale = scaled({ x: box.x + 46, y: box.y + 4, w: box.w - 52, h: box.h - 20 }, times, marks)
  const curve = (each: Curve): string => (areBars ? bars(each, scale) : lines(each, scale, times, isStacked))
  // The greatest sum first, so that those below it are not hidden.
  const curves = (isStacked ? [...shown].reverse() : shown).map(curve)
  return [axes(marks, unit, times, scale), ...curves, ...limits.map((each) => limit(each, scale)), legend].join('')
}

// A limit far above all that happened would flatten everything.
function top(values: readonly number[], limits: readonly Limit[]): number {
  const highest = Math.max(...values)
  return Math.max(highest, ...limits.map(({ value }) => value).filter((value) => value <= highest * 2)) || 1
}

function scaled(box: Box, [from, to]: Span, marks: readonly number[]): Scale {
  const [low, high] = [marks[0] ?? 0, marks.at(-1) ?? 1]
  return {
    box,
    x: (time) => box.x + ((time - from) / (to - from || 1)) * box.w,
    y: (value) => box.y + box.h - ((value - low) / (high - low || 1)) * box.h,
  }
}

function axes(marks: readonly number[], unit: string | undefined, times: Span, { box, x, y }: Scale): string {
  const grid = marks.map((mark) => `M${round(box.x)} ${round(y(mark))}h${round(box.w)}`).join('')
  const labels = marks.map((mark) =>
    text(box.x - 5, y(mark) + 3, written(mark, unit), { size: 9, fill: COLOURS.faint, anchor: 'end' }),
  )
  const [from, to] = times
  const clocks = (box.w > 300 ? [0.08, 0.36, 0.64, 0.92] : [0.12, 0.5, 0.88]).map((part) => {
    const time = from + (to - from) * part
    return text(x(time), box.y + box.h + 12, clock(time, times), { size: 9, fill: COLOURS.faint, anchor: 'middle' })
  })
  return line(grid, COLOURS.grid) + labels.join('') + clocks.join('')
}

function lines({ points, colour }: Curve, { box, x, y }: Scale, [from, to]: Span, isFilled: boolean): string {
  // A line breaks where more than a point is missing.
  const steps = points.slice(1).map(([time], at) => time - (points[at]?.[0] ?? time))
  const gap = Math.min(...steps) * 2.5
  const runs: Point[][] = []
  for (const [time, value] of points) {
    const before = runs.at(-1)?.at(-1)?.[0] ?? Number.NEGATIVE_INFINITY
    if (time - before > gap) runs.push([])
    runs.at(-1)?.push([time, value])
  }
  const paths = runs.map((run) => path(run.map(([time, value]) => [Math.round(x(time)), Math.round(y(value))])))
  const drawn = line(paths.join(''), colour, 'stroke-width="1.5" stroke-linejoin="round" stroke-linecap="round"')
  if (!isFilled) return drawn
  const bottom = Math.round(box.y + box.h)
  const areas = runs.map((run, at) => {
    const [first, last] = [run[0]?.[0] ?? from, run.at(-1)?.[0] ?? to]
    return `${paths[at]}L${Math.round(x(last))} ${bottom}H${Math.round(x(first))}z`
  })
  return `<path d="${areas.join('')}" fill="${colour}" opacity=".3"/>${drawn}`
}

// Relative to the point before: half the bytes. A single point is a line of no length, which its round end makes a dot.
export function path(points: readonly Point[]): string {
  return points
    .map(([x, y], at) => {
      const before = points[at - 1]
      if (before === undefined) return `M${x} ${y}l0 0`
      const [dx, dy] = [x - before[0], y - before[1]]
      return `${dx < 0 ? '' : ' '}${dx}${dy < 0 ? '' : ' '}${dy}`
    })
    .join('')
}

function bars({ points, colour }: Curve, { box, x, y }: Scale): string {
  const some = points.filter(([, value]) => value > 0)
  const apart = Math.min(...some.slice(1).map(([time], at) => x(time) - x(some[at]?.[0] ?? 0)), 24)
  const width = Math.max(1.5, apart * 0.8)
  const bottom = round(box.y + box.h)
  const inside = (time: number): number => Math.max(box.x + width / 2, Math.min(x(time), box.x + box.w - width / 2))
  const d = some.map(([time, value]) => `M${round(inside(time))} ${bottom}V${round(y(value))}`)
  return d.length === 0 ? '' : line(d.join(''), colour, `stroke-width="${round(width)}"`)
}

function limit({ value, color }: Limit, { box, y }: Scale): string {
  const at = y(value)
  if (at < box.y - 1) return ''
  return line(`M${round(box.x)} ${round(at)}h${round(box.w)}`, colourOf(color), 'stroke-dasharray="6 4"')
}
