// A dashboard as one picture: its own layout, and in each panel what its queries returned.
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { bands, heatmap } from './cells.ts'
import { number, table } from './figures.ts'
import { plot } from './plot.ts'
import {
  type Answered,
  answers,
  type PanelJson,
  panelsOf,
  type Results,
  recordedFor,
  type Span,
  span,
} from './results.ts'
import { type Box, COLOURS, fitted, nothing, rect, text, widthOf } from './svg.ts'

type Draw = (panel: PanelJson, answered: readonly Answered[], area: Box, times: Span) => string

const KINDS: Readonly<Record<string, Draw>> = {
  timeseries: plot,
  stat: number,
  table,
  heatmap,
  'state-timeline': bands,
  logs: (_, __, area) => nothing(area, 'Lines from Loki, each with a link to its trace. No part of the test run.'),
}

const COLUMN = 50
const UNIT = 27
const TOP = 46
const BOTTOM = 30
const LOG_UNITS = 3

export function draw(dashboard: Dashboard, file: string, results: Results): string {
  const panels = lowered(panelsOf(dashboard))
  // What was asked once was asked after the end.
  const overTime = recordedFor(results, file).flatMap(({ result }) => result.filter(({ values }) => values.length > 1))
  const times = span(overTime)
  const units = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h))
  const [width, height] = [24 * COLUMN + 8, units * UNIT + TOP + BOTTOM]
  const drawn = panels.map((panel) => place(panel, answers(results, file, panel), times))
  const caption = `Drawn from what its queries returned in the test run, not a screenshot of Grafana. ${results.recordedAt.slice(0, 10)}`
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>${dashboard.title}: ${caption}</title>
<rect width="100%" height="100%" rx="6" fill="${COLOURS.page}"/>
<g font-family="Inter,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif" font-size="11" fill="${COLOURS.text}">
${head(dashboard)}
${drawn.join('\n')}
${text(width / 2, height - 11, caption, { size: 12, fill: COLOURS.faint, anchor: 'middle' })}
</g>
</svg>
`
}

// Lines of a log are no part of the test run: their panel is only named.
function lowered(panels: readonly PanelJson[]): readonly PanelJson[] {
  const log = panels.find(({ type }) => type === 'logs')
  if (log === undefined) return panels
  const less = log.gridPos.h - LOG_UNITS
  return panels.map((panel) => {
    const { gridPos } = panel
    if (panel === log) return { ...panel, gridPos: { ...gridPos, h: LOG_UNITS } }
    return gridPos.y > log.gridPos.y ? { ...panel, gridPos: { ...gridPos, y: gridPos.y - less } } : panel
  })
}

function head({ title = '', templating }: Dashboard): string {
  const choices = (templating?.list ?? []).filter(({ type }) => type === 'query')
  let x = 26 + widthOf(title, 19)
  const chips = choices.map(({ label = '' }) => {
    const width = widthOf(`${label} All`) + 22
    const chip =
      rect({ x, y: 13, w: width, h: 20 }, COLOURS.panel, `stroke="${COLOURS.edge}" rx="3"`) +
      text(x + 7, 27, label, { fill: COLOURS.faint }) +
      text(x + width - 7, 27, 'All', { anchor: 'end' })
    x += width + 8
    return chip
  })
  return text(12, 29, title, { size: 17, bold: true }) + chips.join('')
}

function place(panel: PanelJson, answered: readonly Answered[], times: Span): string {
  const { x, y, w, h } = panel.gridPos
  const box = { x: x * COLUMN + 6, y: y * UNIT + TOP, w: w * COLUMN - 6, h: h * UNIT - 6 }
  if (panel.type === ('row' as string)) {
    const isEmpty = panel.title === 'Your business metrics'
    const title = isEmpty ? `${panel.title} (empty: yours go here)` : (panel.title ?? '')
    return text(box.x + 2, box.y + 15, `⌄ ${title}`, { size: 13, bold: true })
  }
  const frame = rect(box, COLOURS.panel, `stroke="${COLOURS.edge}" rx="3"`)
  const title = text(box.x + 8, box.y + 16, fitted(panel.title ?? '', box.w - 12, 12), { size: 12, bold: true })
  const area = { x: box.x + 4, y: box.y + 22, w: box.w - 8, h: box.h - 26 }
  const body = KINDS[panel.type]?.(panel, answered, area, times) ?? ''
  return frame + title + body
}
