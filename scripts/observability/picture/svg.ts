// Small pieces of SVG, and how much text fits into a width.

export interface Box {
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}

export const COLOURS = {
  page: '#0d1117',
  panel: '#161b22',
  edge: '#2b313a',
  text: '#d7dde4',
  faint: '#8b949e',
  grid: '#242a33',
} as const

/** Of series, one after the other. */
export const PALETTE = [
  '#73bf69',
  '#f2cc0c',
  '#5794f2',
  '#ff9830',
  '#f2495c',
  '#b877d9',
  '#56a6a6',
  '#c0a080',
  '#8ab8ff',
  '#e0b0e0',
]

const NAMED: Readonly<Record<string, string>> = {
  green: '#73bf69',
  orange: '#ff9830',
  red: '#f2495c',
  'dark-red': '#f2495c',
  blue: '#5794f2',
  purple: '#b877d9',
  gray: COLOURS.faint,
  text: COLOURS.text,
}

export const colourOf = (name: string): string => NAMED[name] ?? COLOURS.text

interface TextStyle {
  readonly size?: number
  readonly fill?: string
  readonly anchor?: 'middle' | 'end'
  readonly bold?: boolean
}

export function text(x: number, y: number, value: string, style: TextStyle = {}): string {
  const { size = 11, fill, anchor, bold } = style
  const attributes = [
    `x="${round(x)}" y="${round(y)}"`,
    size === 11 ? '' : `font-size="${size}"`,
    fill === undefined ? '' : `fill="${fill}"`,
    anchor === undefined ? '' : `text-anchor="${anchor}"`,
    bold ? 'font-weight="600"' : '',
  ]
  return `<text ${attributes.filter(Boolean).join(' ')}>${escaped(value)}</text>`
}

export function rect({ x, y, w, h }: Box, fill: string, more = ''): string {
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(w)}" height="${round(h)}" fill="${fill}"${more && ` ${more}`}/>`
}

export const line = (d: string, stroke: string, more = ''): string =>
  `<path d="${d}" fill="none" stroke="${stroke}"${more && ` ${more}`}/>`

/** In the middle of a panel that has nothing to show. */
export const nothing = ({ x, y, w, h }: Box, words = 'none'): string =>
  text(x + w / 2, y + h / 2, words, { fill: COLOURS.faint, anchor: 'middle' })

// Of common sans-serif fonts at one pixel: a guess that is rather too wide than too narrow.
const WIDTH = 0.56
export const widthOf = (value: string, size = 11): number => value.length * size * WIDTH

export function fitted(value: string, width: number, size = 11): string {
  const characters = Math.max(1, Math.floor(width / (size * WIDTH)))
  return value.length <= characters ? value : `${value.slice(0, Math.max(1, characters - 1))}…`
}

export const round = (value: number): number => Math.round(value * 10) / 10

function escaped(value: string): string {
  return value.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}
