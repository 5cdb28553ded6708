// Panels of figures: one number, and tables of them.
import { thinned } from './curves.ts'
import { path } from './plot.ts'
import { type Answered, lastOf, type PanelJson, type Series, type Span } from './results.ts'
import { type Box, COLOURS, colourOf, fitted, line, round, text, widthOf } from './svg.ts'
import { written } from './units.ts'

interface Step {
  readonly value: number | null
  readonly color: string
}

export function number(panel: PanelJson, [answered]: readonly Answered[], area: Box, [from, to]: Span): string {
  const { unit, noValue = 'none', thresholds } = panel.fieldConfig?.defaults ?? {}
  const [series] = answered?.result ?? []
  const value = series === undefined ? undefined : lastOf(series, answered?.result ?? [])
  const label = value === undefined ? noValue : written(value, unit)
  const fill = value === undefined ? COLOURS.faint : coloured(value, thresholds?.steps ?? [])
  const size = Math.min(26, (area.w - 12) / (label.length * 0.58))
  const style = { size: round(size), fill, anchor: 'middle', bold: true } as const
  const figure = text(area.x + area.w / 2, area.y + area.h / 2 + size / 3 - 4, label, style)
  const { graphMode } = panel.options as { graphMode: string }
  return graphMode === 'none' || series === undefined ? figure : sparkline(series, area, [from, to], fill) + figure
}

function sparkline(series: Series, area: Box, [from, to]: Span, fill: string): string {
  const points = thinned(series, 40)
  if (points.length < 3) return ''
  const values = points.map(([, value]) => value)
  const [low, high] = [Math.min(0, ...values), Math.max(...values)]
  const bottom = Math.round(area.y + area.h)
  const x = (time: number): number => Math.round(area.x + ((time - from) / (to - from || 1)) * area.w)
  const placed = points.map(([time, value]) => {
    return [x(time), Math.round(bottom - ((value - low) / (high - low || 1)) * area.h * 0.4)] as const
  })
  const d = `${path(placed)}L${placed.at(-1)?.[0]} ${bottom}H${placed[0]?.[0]}z`
  return `<path d="${d}" fill="${fill}" opacity=".18"/>`
}

function coloured(value: number, steps: readonly Step[]): string {
  const reached = steps.filter((step) => step.value === null || value >= step.value)
  return colourOf(reached.at(-1)?.color ?? 'text')
}

interface Property {
  readonly id: string
  readonly value: unknown
}

interface Column {
  readonly name: string
  readonly cells: readonly { readonly text: string; readonly fill: string; readonly value: number | string }[]
}

interface Organized {
  readonly renameByName: Readonly<Record<string, string>>
}

export function table(panel: PanelJson, answered: readonly Answered[], area: Box): string {
  const organize = panel.transformations?.find(({ id }) => id === 'organize')?.options as Organized
  const labels = Object.keys(organize.renameByName).filter((from) => !from.startsWith('Value'))
  const rows = joined(answered, labels)
  const columns = [...labelColumns(organize, labels, rows), ...valueColumns(panel, organize, rows, answered.length)]
  const order = sorted(panel, columns, rows.length)
  if (order.length === 0)
    return text(area.x + area.w / 2, area.y + area.h / 2, 'none', { fill: COLOURS.faint, anchor: 'middle' })
  const room = Math.floor((area.h - 26) / 20)
  return drawn(columns, order.slice(0, room), area)
}

type Row = { readonly labels: Readonly<Record<string, string>>; readonly values: (number | undefined)[] }

// As Grafana's merge: rows that agree on all labels that both have are one.
function joined(answered: readonly Answered[], labels: readonly string[]): Row[] {
  const rows: Row[] = []
  for (const [at, { result }] of answered.entries()) {
    for (const series of result) {
      const value = lastOf(series, result)
      if (value === undefined) continue
      const own = Object.fromEntries(
        labels.filter((each) => each in series.metric).map((each) => [each, series.metric[each] ?? '']),
      )
      const row = rows.find((each) =>
        labels.every((label) => !(label in own) || !(label in each.labels) || own[label] === each.labels[label]),
      )
      if (row === undefined)
        rows.push({ labels: own, values: Array.from({ length: at }, () => undefined).concat([value] as never[]) })
      else {
        row.values[at] = value
        Object.assign(row.labels, own)
      }
    }
  }
  return rows
}

function labelColumns({ renameByName }: Organized, labels: readonly string[], rows: readonly Row[]): Column[] {
  return labels.map((label) => ({
    name: renameByName[label] ?? label,
    cells: rows.map((row) => ({ text: row.labels[label] ?? '', value: row.labels[label] ?? '', fill: COLOURS.text })),
  }))
}

function valueColumns(panel: PanelJson, { renameByName }: Organized, rows: readonly Row[], count: number): Column[] {
  return Array.from({ length: count }, (_, at) => {
    const name = renameByName[count > 1 ? `Value #${String.fromCharCode(65 + at)}` : 'Value'] ?? ''
    const properties = (panel.fieldConfig?.overrides.find(({ matcher }) => matcher.options === name)?.properties ??
      []) as Property[]
    const of = <T>(id: string): T | undefined => properties.find((each) => each.id === id)?.value as T | undefined
    const words = of<{ options: Record<string, { text: string; color: string }> }[]>('mappings')?.[0]?.options ?? {}
    return {
      name,
      cells: rows.map(({ values }) => {
        const value = values[at]
        if (value === undefined) return { text: '', value: Number.NEGATIVE_INFINITY, fill: COLOURS.text }
        const word = words[String(value)]
        const steps = of<{ steps: Step[] }>('thresholds')?.steps
        const fill =
          word !== undefined ? colourOf(word.color) : steps === undefined ? COLOURS.text : coloured(value, steps)
        return { text: word?.text ?? written(value, of('unit')), value, fill }
      }),
    }
  })
}

function sorted(panel: PanelJson, columns: readonly Column[], count: number): number[] {
  const { sortBy } = panel.options as { sortBy: { displayName: string; desc: boolean }[] }
  const by = columns.find(({ name }) => name === sortBy[0]?.displayName)
  const sign = sortBy[0]?.desc ? -1 : 1
  return Array.from({ length: count }, (_, at) => at).sort((a, b) => {
    const [one, other] = [by?.cells[a]?.value ?? '', by?.cells[b]?.value ?? '']
    return sign * (one < other ? -1 : one > other ? 1 : 0)
  })
}

function drawn(columns: readonly Column[], order: readonly number[], area: Box): string {
  const widths = columns.map(
    ({ name, cells }) => Math.max(widthOf(name), ...order.map((at) => widthOf(cells[at]?.text ?? ''))) + 16,
  )
  const stretch = (area.w - 8) / widths.reduce((sum, width) => sum + width, 0)
  let x = area.x + 4
  let out = ''
  for (const [at, { name, cells }] of columns.entries()) {
    const width = (widths[at] ?? 0) * stretch
    out += text(x + 4, area.y + 14, fitted(name, width - 4), { fill: '#6ea8fe', bold: true })
    for (const [row, index] of order.entries()) {
      const cell = cells[index]
      if (cell === undefined || cell.text === '') continue
      const fill = cell.fill === COLOURS.text ? {} : { fill: cell.fill }
      out += text(x + 4, area.y + 34 + row * 20, fitted(cell.text, width - 4), fill)
    }
    x += width
  }
  const rules = order.map((_, row) => `M${round(area.x + 4)} ${round(area.y + 20 + row * 20)}h${round(area.w - 8)}`)
  return line(rules.join(''), COLOURS.edge) + out
}
