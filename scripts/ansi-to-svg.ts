// Draws terminal output as an SVG, so that a page can show exactly what the program printed.

const COLOURS: Readonly<Record<string, string>> = {
  '31': '#ff7b72',
  '32': '#7ee787',
  '33': '#e3b341',
  '34': '#79c0ff',
  '35': '#d2a8ff',
  '36': '#76e3ea',
  '90': '#8b949e',
}
const FONT = 13
const LINE = 19
const COLUMN = 7.83
const PADDING = 18

/** @param text terminal output with SGR colours, bold and dim */
export function ansiToSvg(text: string): string {
  const lines = text.replace(/\n+$/, '').split('\n')
  const columns = Math.max(...lines.map((line) => line.replace(ESCAPE, '').length))
  const width = Math.ceil(columns * COLUMN + 2 * PADDING)
  const height = lines.length * LINE + 2 * PADDING
  const rows = lines.map((line, at) => row(line, PADDING + (at + 1) * LINE - 5)).join('\n')
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>What the demo printed: a request, its tasks and their steps as one trace</title>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="${FONT}" fill="#e6edf3" xml:space="preserve">
${rows}
</g>
</svg>
`
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are what this reads
const ESCAPE = /\u001b\[([\d;]*)m/g

// Each run of one style is placed by its column: fonts without a glyph must not shift what follows.
function row(line: string, y: number): string {
  let style = { colour: '', bold: false, dim: false }
  let column = 0
  let out = ''
  for (const [at, part] of line.split(ESCAPE).entries()) {
    if (at % 2 === 1) {
      for (const code of part.split(';')) style = styled(style, code)
      continue
    }
    if (part === '') continue
    const fill = style.colour === '' ? '' : ` fill="${style.colour}"`
    const weight = style.bold ? ' font-weight="bold"' : ''
    const opacity = style.dim ? ' opacity="0.6"' : ''
    const x = (PADDING + column * COLUMN).toFixed(1)
    const length = (part.length * COLUMN).toFixed(1)
    out += `<text x="${x}" y="${y}" textLength="${length}"${fill}${weight}${opacity}>${toXml(part)}</text>`
    column += part.length
  }
  return out
}

function styled(style: { colour: string; bold: boolean; dim: boolean }, code: string): typeof style {
  if (code === '' || code === '0') return { colour: '', bold: false, dim: false }
  if (code === '1') return { ...style, bold: true }
  if (code === '2') return { ...style, dim: true }
  if (code === '22') return { ...style, bold: false, dim: false }
  if (code === '39') return { ...style, colour: '' }
  return code in COLOURS ? { ...style, colour: COLOURS[code] ?? '' } : style
}

function toXml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/ /g, '\u00a0')
}
