// How much a span may take: values that are too long are cut, and of the user's own only so many are taken.
import type { Attributes, AttributeValue } from '@opentelemetry/api'
import { cut } from '../../kernel/cut.ts'

// No span over 64 KiB: 24 KiB for the error, 24 KiB for the user's own attributes, the rest for ours.
const MAX_TEXT = 4_096
const MAX_ITEMS = 64
const MAX_USER_BYTES = 24_576

/** The value itself, or a copy that is cut. */
export function bounded(value: AttributeValue | undefined): AttributeValue | undefined {
  if (typeof value === 'string') return cut(value, MAX_TEXT)
  if (!Array.isArray(value) || sizeOf(value) <= MAX_TEXT) return value
  return value
    .slice(0, MAX_ITEMS)
    .map((item) => (typeof item === 'string' ? cut(item, MAX_TEXT / MAX_ITEMS) : item)) as AttributeValue
}

/**
 * Takes over as much of what the user has added as may stand on one span.
 *
 * @returns whether all of it was taken, as it was
 */
export function takeOver(added: readonly (readonly [string, AttributeValue | undefined])[], into: Attributes): boolean {
  let left = MAX_USER_BYTES
  let kept = 0
  let isWhole = true
  for (const [key, value] of added.slice(0, MAX_ITEMS)) {
    const short = bounded(value)
    left -= Buffer.byteLength(key) + sizeOf(short)
    if (left < 0) break
    into[key] = short
    kept++
    if (short !== value) isWhole = false
  }
  return isWhole && kept === added.length
}

function sizeOf(value: AttributeValue | undefined): number {
  if (typeof value === 'string') return Buffer.byteLength(value)
  if (!Array.isArray(value)) return 8
  return (value as readonly unknown[]).reduce<number>(
    (sum, item) => sum + (typeof item === 'string' ? Buffer.byteLength(item) : 8),
    0,
  )
}
