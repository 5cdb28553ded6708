// AMQP headers, read safely: foreign input of any shape; own properties only, wrong types ignored and counted.
import { fault } from '../../kernel/faults.ts'

export type Table = Readonly<Record<string, unknown>>

export const NO_HEADERS: Table = Object.freeze({})

const MAX_COUNT = 1_000_000

export function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A header that should be text. Absent, null (Celery writes many) and empty are no text. */
export function text(headers: Table, key: string): string | undefined {
  const value = own(headers, key)
  if (typeof value === 'string') return value === '' ? undefined : value
  return value === undefined ? undefined : malformed()
}

/** A header that should be a number; TaskIQ writes its numbers as text. */
export function number(headers: Table, key: string): number | undefined {
  const value = own(headers, key)
  if (value === undefined) return undefined
  const parsed = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof parsed === 'number' && Number.isFinite(parsed) ? parsed : malformed()
}

/** A header that counts something. */
export function count(headers: Table, key: string): number | undefined {
  const value = number(headers, key)
  if (value === undefined) return undefined
  return Number.isInteger(value) && value >= 0 && value <= MAX_COUNT ? value : malformed()
}

/** A header that is a time: ISO 8601, or milliseconds since the epoch. */
export function moment(headers: Table, key: string): number | undefined {
  const value = own(headers, key)
  if (value === undefined) return undefined
  const ms = typeof value === 'string' ? Date.parse(value) : value
  return typeof ms === 'number' && Number.isFinite(ms) ? ms : malformed()
}

// amqplib lets a header named `__proto__` set the prototype, and all that it inherits would look like headers.
function own(headers: Table, key: string): unknown {
  return Object.hasOwn(headers, key) ? (headers[key] ?? undefined) : undefined
}

function malformed(): undefined {
  fault('rabbitmq', 'header')
  return undefined
}
