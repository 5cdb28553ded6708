// Keeps credentials out of log lines: by key, to a fixed depth, without touching the caller's objects.
import { maskUrls } from '../../kernel/outcome.ts'

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
const MAX_VISITED = 1_000

/** Gives the value itself, or a copy without credentials. Top keys that `except` has are left as they are. */
export type Redact = <T>(value: T, except?: object) => T

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

  return <T>(value: T, except?: object) => new Walk(isSecret).value(value, 1, except) as T
}

class Walk {
  private visited = 0

  constructor(private readonly isSecret: (key: string) => boolean) {}

  value(value: unknown, depth: number, except?: object): unknown {
    if (typeof value === 'string') return maskUrls(value)
    if (typeof value !== 'object' || value === null || depth > MAX_DEPTH || ArrayBuffer.isView(value)) return value
    // A graph that refers to itself has more paths than a line has room for; what was not seen is not shown.
    if (++this.visited > MAX_VISITED) return REDACTED
    if (Array.isArray(value)) return this.list(value, depth)
    const source = value as Record<string, unknown>
    if (value instanceof Error) return this.object(source, depth, except)
    // What JSON will make of it (a URL, a date, a job) is what will be written.
    const json: unknown = typeof source.toJSON === 'function' ? source.toJSON() : source
    if (json !== source) {
      const shown = this.value(json, depth)
      return shown === json ? source : shown
    }
    return this.object(source, depth, except)
  }

  // Copies only what it changes: most lines hold nothing secret.
  private object(source: Record<string, unknown>, depth: number, except: object | undefined): Record<string, unknown> {
    let copy: Record<string, unknown> | undefined
    for (const key of Object.keys(source)) {
      const item = source[key]
      const next = this.isSecret(key) ? REDACTED : skips(except, key) ? item : this.value(item, depth + 1)
      if (next === item) continue
      copy ??= copyOf(source)
      copy[key] = next
    }
    return copy ?? source
  }

  private list(source: readonly unknown[], depth: number): readonly unknown[] {
    let copy: unknown[] | undefined
    for (let at = 0; at < source.length; at++) {
      const next = this.value(source[at], depth + 1)
      if (next === source[at]) continue
      copy ??= [...source]
      copy[at] = next
    }
    return copy ?? source
  }
}

function skips(except: object | undefined, key: string): boolean {
  return except !== undefined && Object.hasOwn(except, key)
}

// An error stays one: pino's serializer takes its message and stack, which an ordinary copy would not have.
function copyOf(source: Record<string, unknown>): Record<string, unknown> {
  if (!(source instanceof Error)) return { ...source }
  const own: PropertyDescriptorMap = Object.getOwnPropertyDescriptors(source)
  // From Node 21 on the stack is a getter that answers only for the error that it was made with.
  if (own.stack?.get !== undefined) own.stack = { value: source.stack, writable: true, configurable: true }
  return Object.create(Object.getPrototypeOf(source), own)
}

function plain(key: string): string {
  return key.toLowerCase().replace(/[_-]/g, '')
}
