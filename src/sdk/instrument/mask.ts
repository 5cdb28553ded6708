// What instrumentations would tell of a call and must not: the literals of a statement, the values of a query string.

const MAX_STATEMENT = 2_048

const DOLLARS = String.raw`\$([a-z_]*)\$[\s\S]*?\$\2\$`
const COMMENTS = String.raw`--[^\n]*|/\*[\s\S]*?\*/`
const NUMBERS = String.raw`(?<![\w$])(?:0x[\da-f]+|\d[\d.]*(?:e[+-]?\d+)?)\b`

/** Masks a statement of PostgreSQL: `select "name" from users where email = ?`, without literals and comments. */
export const maskPostgres = masker('"', ["'"])
/** Of MySQL, where a double quote begins a literal. */
export const maskMysql = masker('`', ["'", '"'])

/** @param identifier the quote around names, which are kept */
function masker(identifier: string, quotes: readonly string[]): (text: string) => string {
  const [closed, open] = [
    (quote: string) => `${quote}(?:[^${quote}]|${quote}${quote})*${quote}?`,
    // A backslash is an escape or is none, as the database is told: nobody can say here where a literal ends.
    (quote: string) => `${quote}[\\s\\S]*`,
  ].map((literal) => {
    const names = `(${identifier}[^${identifier}]*${identifier})`
    return new RegExp([names, ...quotes.map(literal), DOLLARS, COMMENTS, NUMBERS].join('|'), 'gi')
  }) as [RegExp, RegExp]
  return (text) => {
    const start = text.slice(0, 2 * MAX_STATEMENT)
    const masked = start.replace(start.includes('\\') ? open : closed, (match: string, name: string | undefined) => {
      return name ?? (/^(--|\/\*)/.test(match) ? '' : '?')
    })
    return masked.slice(0, MAX_STATEMENT)
  }
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
