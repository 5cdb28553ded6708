// Traces as pictures in a terminal: an indented tree, bars on one time axis, and how each span ended.
import { type Axis, axisOf, bar, duration, ruler } from './waterfall/axis.ts'
import type { Row, WaterfallSpan } from './waterfall/row.ts'
import { cut, type Paint, pad, painter, plain, type Style, width as widthOf } from './waterfall/text.ts'
import { arrange, type Trace } from './waterfall/tree.ts'

export type { WaterfallSpan }

export interface WaterfallOptions {
  /** ANSI colours. Default: when stdout is a terminal and `NO_COLOR` is not set. */
  readonly colour?: boolean | undefined
  /** Columns, at least 60. Default: the terminal's, or 100. */
  readonly width?: number | undefined
}

const MAX_ROWS = 200
const MIN_BAR = 16

/**
 * Draws ended spans, trace by trace in the order of their start. Names and messages are cut to the width and stripped of
 * control characters: they come from messages, and a terminal obeys escape sequences.
 *
 * @param spans the SDK's ReadableSpans, of any number of traces, in any order
 * @returns lines without a final newline; the empty string when there are no spans
 * @example
 * console.log(waterfall(exporter.getFinishedSpans(), { colour: true }))
 */
export function waterfall(spans: Iterable<WaterfallSpan>, options: WaterfallOptions = {}): string {
  const paint = painter(options.colour ?? isColourful(process.stdout))
  const columns = Math.max(60, Math.floor(options.width ?? process.stdout.columns ?? 100))
  return arrange(spans)
    .map((trace) => draw(trace, columns, paint).join('\n'))
    .join('\n\n')
}

/** Whether colours are welcome on a stream: a terminal, and no `NO_COLOR` (https://no-color.org). */
export function isColourful(stream: { readonly isTTY?: boolean }): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb'
}

function draw(trace: Trace, columns: number, paint: Paint): string[] {
  const rows = trace.rows.slice(0, MAX_ROWS)
  const notes = rows.map(noteOf)
  const labels = rows.map((row) => row.stem + labelOf(row, trace.services.length > 1))
  const note = Math.max(0, ...notes.map(widthOf))
  const right = DURATION + (note === 0 ? 0 : note + 2)
  const label = Math.min(Math.max(...labels.map(widthOf)), columns - right - MIN_BAR - 2)
  const axis = axisOf(trace, columns - label - right - 2)

  const lines = [header(trace, columns, paint), `${' '.repeat(label + 2)}${paint('dim', ruler(axis))}`]
  for (const [at, row] of rows.entries()) {
    const mark = notes[at] ?? ''
    const room = label - row.stem.length
    const name = pad(cut(labelOf(row, trace.services.length > 1), room), room)
    const took = duration(row.end - row.start).padStart(DURATION)
    const end = mark === '' ? '' : `  ${paint(row.outcome === 'success' ? 'green' : colourOf(row), mark)}`
    lines.push(
      `${paint('dim', row.stem)}${paint(nameStyle(row), name)}  ${bars(axis, row, paint)}${paint('dim', took)}${end}`,
      ...details(row, columns, paint),
    )
  }
  const hidden = trace.rows.length - rows.length
  if (hidden > 0) lines.push(paint('dim', `… ${hidden} more spans`))
  return lines
}

const DURATION = 9

function header(trace: Trace, columns: number, paint: Paint): string {
  const spans = `${trace.rows.length} ${trace.rows.length === 1 ? 'span' : 'spans'}`
  const parts = [spans, duration(trace.end - trace.start), ...trace.services.slice(0, 4).map(plain)]
  const facts = cut(parts.join(' · '), columns - 41)
  return `${paint('bold', `trace ${trace.id}`)}  ${paint('dim', facts)}`
}

function labelOf(row: Row, showService: boolean): string {
  return showService && row.service !== row.parentService ? `${row.name} (${row.service})` : row.name
}

function nameStyle(row: Row): Style {
  if (row.failed && row.outcome !== 'retry') return 'red'
  return row.parent === undefined ? 'bold' : 'none'
}

function bars(axis: Axis, row: Row, paint: Paint): string {
  const { before, wait, body, after } = bar(axis, row)
  return `${before}${paint('dim', wait)}${paint(colourOf(row), body)}${after}`
}

// Internal, server, client, producer, consumer: what runs is green, what sends magenta, what calls blue.
const KIND_COLOURS = ['cyan', 'blue', 'blue', 'magenta', 'green'] as const
const QUIET: ReadonlySet<string | undefined> = new Set(['cancelled', 'skipped', 'restored', 'rejected', 'deferred'])

function colourOf(row: Row): Style {
  if (row.outcome === 'retry') return 'yellow'
  if (row.failed) return 'red'
  return QUIET.has(row.outcome) ? 'dim' : (KIND_COLOURS[row.kind] ?? 'cyan')
}

const GLYPHS: Readonly<Record<string, string>> = { success: '✓', retry: '↻', deferred: '⏸' }

function noteOf(row: Row): string {
  if (row.outcome === undefined) return row.failed ? '✗ error' : ''
  const glyph = GLYPHS[row.outcome] ?? (row.failed ? '✗' : '·')
  const word = row.outcome === 'success' ? '' : ` ${row.outcome}`
  return `${glyph}${word}${attemptOf(row)}`
}

function attemptOf({ attempt = 1, maxAttempts, failed }: Row): string {
  if (maxAttempts === 1 || (attempt === 1 && !failed)) return ''
  if (maxAttempts !== undefined) return ` ${attempt}/${maxAttempts}`
  return attempt === 1 ? '' : ` #${attempt}`
}

// What does not fit beside a bar: why it failed or was skipped, and where its links lead.
function details(row: Row, columns: number, paint: Paint): string[] {
  const space = columns - row.under.length
  const lines: [Style, string][] = []
  if (row.failed && row.message !== '') lines.push([row.outcome === 'retry' ? 'yellow' : 'red', row.message])
  if (row.reason !== undefined) lines.push(['dim', row.reason])
  for (const link of row.links) lines.push(['dim', `↗ linked to ${link}`])
  return lines.map(([colour, text]) => `${paint('dim', row.under)}${paint(colour, cut(text, space))}`)
}
