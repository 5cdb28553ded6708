// What instrumentations would tell of a call and must not: the literals of a statement, the values of a query string.

const MAX_STATEMENT = 2_048

// One pass, and no alternative that can match the same text in two ways: statements may be long, and they are not ours.
const LITERALS =
  /'(?:[^'\\]|\\[\s\S]|'')*'?|\$([A-Za-z_]*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*[\s\S]*?\*\/|(?<![\w$])(?:0x[\da-f]+|\d[\d.]*(?:e[+-]?\d+)?)\b/gi

/** A statement without its literals and comments: `select * from users where email = ?`. */
export function maskStatement(text: string): string {
  // What was cut may have been in the middle of a literal: an open quote takes the rest with it.
  const masked = text.slice(0, 4 * MAX_STATEMENT).replace(LITERALS, (match) => (/^(--|\/\*)/.test(match) ? '' : '?'))
  return masked.slice(0, MAX_STATEMENT)
}

/** `?page=2&token=x` becomes `?page=REDACTED&token=REDACTED`. */
export function maskQuery(search: string): string {
  return search
    .slice(0, MAX_STATEMENT)
    .replace(/=[^&#]*/g, '=REDACTED')
    .replace(/#.*$/, '')
}

/** A path as it is sent, with its query string masked. */
export function maskPath(path: string): string {
  const at = path.indexOf('?')
  return at < 0 ? path : path.slice(0, at) + maskQuery(path.slice(at))
}
