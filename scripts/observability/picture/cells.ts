// What is drawn in cells: heat maps of histograms, and bands of what was when.
import { drawn as legendEntry } from './legend.ts'
import { type Answered, named, type PanelJson, type Series, type Span } from './results.ts'
import { type Box, COLOURS, colourOf, fitted, rect, round, text } from './svg.ts'
import { clock, written } from './units.ts'

const COLUMNS = 48

/** Buckets are cumulative: what is in one is what it has more than the one below. */
export function heatmap(_: PanelJson, [answered]: readonly Answered[], area: Box, times: Span): string {
  const series = [...(answered?.result ?? [])].sort((a, b) => bound(a) - bound(b))
  if (series.length === 0) return ''
  const columns = Array.from({ length: COLUMNS }, (__, at) => series.map((each) => meanWithin(each, times, at)))
  const counts = columns.map((column) => column.map((value, at) => rest(value - (column[at - 1] ?? 0))))
  const filled = series.map((__, row) => counts.some((column) => (column[row] ?? 0) > 0))
  const [first, last] = [filled.indexOf(true), filled.lastIndexOf(true)]
  const rows = series.slice(first, last + 1)
  const most = Math.max(...counts.flat())
  const box = { x: area.x + 52, y: area.y + 4, w: area.w - 58, h: area.h - 20 }
  const [w, h] = [box.w / COLUMNS, box.h / rows.length]
  const cells = new Map<string, string>()
  for (const [x, column] of counts.entries()) {
    for (const [y] of rows.entries()) {
      const colour = heat((column[first + y] ?? 0) / most)
      if (colour === undefined) continue
      const [left, top] = [round(box.x + x * w), round(box.y + box.h - (y + 1) * h)]
      cells.set(
        colour,
        `${cells.get(colour) ?? ''}M${left} ${top}h${round(w - 0.6)}v${round(h - 0.6)}h-${round(w - 0.6)}z`,
      )
    }
  }
  const labels = rows.map((each, at) => {
    const label = Number.isFinite(bound(each)) ? written(bound(each), 's') : 'more'
    return text(box.x - 5, box.y + box.h - at * h - h / 2 + 3, label, { size: 9, fill: COLOURS.faint, anchor: 'end' })
  })
  const drawn = [...cells].map(([colour, d]) => `<path d="${d}" fill="${colour}"/>`)
  return drawn.join('') + labels.join('') + clocks(times, box)
}

// Differences of rates that should be equal are not quite 0.
const rest = (difference: number): number => (difference < 1e-9 ? 0 : difference)

const bound = ({ metric }: Series): number => (metric.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(metric.le))

function meanWithin({ values }: Series, [from, to]: Span, column: number): number {
  const width = (to - from) / COLUMNS || 1
  const low = from + column * width
  const within = values.filter(([time]) => time >= low && time < low + width + 1e-6)
  // Fewer samples than columns: the one before holds on.
  const some = within.length > 0 ? within : values.filter(([time]) => time < low).slice(-1)
  return some.reduce((sum, [, value]) => sum + Number(value), 0) / (some.length || 1)
}

const HEAT = ['#3d2a1c', '#6b3f1d', '#9c561e', '#cc6e20', '#f08a2c', '#ffb061', '#ffd9a8']

function heat(part: number): string | undefined {
  return part <= 0 ? undefined : HEAT[Math.min(HEAT.length - 1, Math.floor(Math.sqrt(part) * HEAT.length))]
}

interface Named {
  readonly text: string
  readonly color: string
}

/** One band per series, in the colours of its values. */
export function bands(panel: PanelJson, answered: readonly Answered[], area: Box, times: Span): string {
  const all = answered.flatMap(({ target, result }) =>
    result.map((series) => ({ name: named(target, series), series })),
  )
  if (all.length === 0) return ''
  const mapping = panel.fieldConfig?.defaults.mappings?.[0] as unknown as { options: Readonly<Record<string, Named>> }
  const box = { x: area.x + 100, y: area.y + 6, w: area.w - 108, h: area.h - 42 }
  const h = Math.min(34, box.h / all.length)
  const rows = all.map(({ name, series }, at) => {
    const y = box.y + at * h
    const label = text(box.x - 6, y + h / 2 + 3, fitted(name, 92, 10), { size: 10, fill: COLOURS.faint, anchor: 'end' })
    return (
      label +
      runs(series)
        .map((run) => band(run, { ...box, y: y + 2, h: h - 4 }, times, mapping.options))
        .join('')
    )
  })
  const legend = Object.values(mapping.options).map(({ text: word, color }, at) => {
    const x = area.x + 4 + at * 120
    return legendEntry({ name: word, colour: colourOf(color) }, x, area.y + area.h - 6)
  })
  return rows.join('') + clocks(times, { ...box, h: all.length * h }) + legend.join('')
}

interface Run {
  readonly value: string
  readonly from: number
  to: number
}

function runs({ values }: Series): Run[] {
  const made: Run[] = []
  for (const [time, value] of values) {
    const last = made.at(-1)
    if (last !== undefined) last.to = time
    if (last?.value !== value) made.push({ value, from: time, to: time })
  }
  return made
}

function band(run: Run, box: Box, [from, to]: Span, words: Readonly<Record<string, Named>>): string {
  const x = (time: number): number => box.x + ((time - from) / (to - from || 1)) * box.w
  const word = words[run.value]
  return rect(
    { ...box, x: x(run.from), w: Math.max(1, x(run.to) - x(run.from)) },
    colourOf(word?.color ?? 'text'),
    'opacity=".75"',
  )
}

function clocks(times: Span, box: Box): string {
  const [from, to] = times
  const at = [0.12, 0.5, 0.88].map((part) => ({ part, time: from + (to - from) * part }))
  return at
    .map(({ part, time }) =>
      text(box.x + box.w * part, box.y + box.h + 12, clock(time, times), {
        size: 9,
        fill: COLOURS.faint,
        anchor: 'middle',
      }),
    )
    .join('')
}
