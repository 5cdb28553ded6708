// Keeps credentials out of log lines: by key, to a fixed depth, without touching the caller's objects.

const SECRET_KEYS = [
  'password',
  'passwd',
  'secret',
  'token',
  'accesstoken',
  'refreshtoken',
  'authtoken',
  'authorization',
  'cookie',
  'setcookie',
  'apikey',
  'privatekey',
  'creditcard',
  'cardnumber',
  'cvv',
  'ssn',
]
const REDACTED = '[REDACTED]'
const MAX_DEPTH = 6

export type Redact = (fields: Record<string, unknown>) => Record<string, unknown>

/** A redaction for the default keys and `more`; compares keys without case, `_` and `-`, and only whole keys. */
export function redaction(more: readonly string[] = []): Redact {
  const secret = new Set([...SECRET_KEYS, ...more.map(plain)])
  // Keys repeat from line to line; the set of them is small, and capped for the case that it is not.
  const known = new Map<string, boolean>()
  const isSecret = (key: string): boolean => {
    let verdict = known.get(key)
    if (verdict === undefined) {
      verdict = secret.has(plain(key))
      if (known.size < 1_000) known.set(key, verdict)
    }
    return verdict
  }

  // Copies only what it changes: most lines hold nothing secret.
  const walk = (value: unknown, depth: number): unknown => {
    if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return value
    const isArray = Array.isArray(value)
    if (!isArray && !isPlain(value)) return value
    const source = value as Record<string, unknown>
    let copy: Record<string, unknown> | undefined
    for (const key of Object.keys(source)) {
      const item = source[key]
      const next = !isArray && isSecret(key) ? REDACTED : walk(item, depth + 1)
      if (next === item) continue
      copy ??= (isArray ? [...value] : { ...source }) as Record<string, unknown>
      copy[key] = next
    }
    return copy ?? value
  }
  return (fields) => walk(fields, 1) as Record<string, unknown>
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function plain(key: string): string {
  return key.toLowerCase().replace(/[_-]/g, '')
}
