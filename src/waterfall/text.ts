// Text in a terminal: how wide it is, where to cut it, what to keep out of it, and its colour.

const CODES = { none: 0, bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 } as const

export type Style = keyof typeof CODES

/** Paints a text, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string

export function painter(colour: boolean): Paint {
  return (style, text) =>
    colour && style !== 'none' && text.trim() !== '' ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text
}

/** One line without control and format characters: a task's name must not move the cursor or turn the text around. */
export function plain(text: string): string {
  return text.slice(0, 1_000).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu, ' ')
}

// Two columns in every terminal: East Asian wide characters and pictures.
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u

/** Columns that a text takes. */
export function width(text: string): number {
  let columns = 0
  for (const character of text) columns += columnsOf(character)
  return columns
}

function columnsOf(character: string): number {
  if (character.length === 1 && character < '\u0300') return 1
  return /\p{M}/u.test(character) ? 0 : WIDE.test(character) ? 2 : 1
}

/** Cuts a text to a number of columns; what is left out leaves an ellipsis. */
export function cut(text: string, columns: number): string {
  if (width(text) <= columns) return text
  if (columns < 1) return ''
  let kept = ''
  let used = 0
  for (const character of text) {
    used += columnsOf(character)
    if (used > columns - 1) break
    kept += character
  }
  return `${kept.trimEnd()}…`
}

/** Fills a text up to a number of columns. */
export function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - width(text)))
}
