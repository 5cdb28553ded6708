// Carrier <-> context, safely: through the global propagator, whichever it is; never throwing, never oversized.
import { type Context, context, propagation, ROOT_CONTEXT } from '@opentelemetry/api'
import { received, travelling } from './correlation.ts'
import { fault } from './faults.ts'
import type { Carrier, Correlation } from './task.ts'

const MAX_CARRIER = 8_192

/** Whether the propagator that runs now has been given something to read. */
let read = false

// What is too big or no string is ignored and counted when a propagator asks for it: other headers are not our business.
const getter = {
  // Own properties only: a carrier is foreign input, and `__proto__` is a key like any other. Guarded here: OTel's own
  // composite propagator swallows what throws below it, and it would not be counted.
  get(carrier: Carrier, key: string): string | undefined {
    let value: unknown
    try {
      if (Object.hasOwn(carrier, key)) value = carrier[key]
    } catch (error) {
      fault('propagation', 'extract', error)
    }
    if (typeof value === 'string' && value.length <= MAX_CARRIER) {
      if (value !== '') read = true
      return value
    }
    if (value !== undefined && value !== null)
      fault('propagation', typeof value === 'string' ? 'oversized' : 'wrong_type')
    return undefined
  },
  keys: (carrier: Carrier): string[] => Object.keys(carrier),
}

const setter = {
  // What is no string could not be written into a message: a bigint would make the sender's JSON.stringify throw.
  set(carrier: Carrier, key: string, value: string): void {
    if (typeof value === 'string') carrier[key] = value
    else fault('propagation', 'wrong_type')
  },
}

/** The context that a message carried, upon `root`: nothing ambient. Hostile carriers give the root, and are counted. */
export function extract(carrier: Carrier | undefined, root = ROOT_CONTEXT): Context {
  if (carrier === undefined) return root
  try {
    read = false
    const extracted = propagation.extract(root, carrier, getter)
    if (extracted === root) {
      if (read) fault('propagation', 'malformed')
      return root
    }
    return propagation.getBaggage(extracted) === undefined ? extracted : withBaggage(extracted, received)
  } catch (error) {
    fault('propagation', 'extract', error)
    return root
  }
}

/** Parses a carrier that travels as a JSON string. Anything but an object is ignored and counted. */
export function parseCarrier(value: unknown): Carrier | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string' || value.length > MAX_CARRIER) {
    fault('propagation', typeof value === 'string' ? 'oversized' : 'wrong_type')
    return undefined
  }
  try {
    const parsed: unknown = JSON.parse(value)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as Carrier
    fault('propagation', 'malformed')
  } catch (error) {
    fault('propagation', 'malformed', error)
  }
  return undefined
}

/** What a message sent now should carry: the active (or given) span, and the allowed correlation keys, nothing else. */
export function injectCarrier(from?: Context): Record<string, string> {
  const carrier: Record<string, string> = {}
  try {
    const active = from ?? context.active()
    propagation.inject(withBaggage(active, travelling), carrier, setter)
    let size = 0
    for (const key of Object.keys(carrier)) size += String(carrier[key]).length
    if (size <= MAX_CARRIER) return carrier
    fault('propagation', 'oversized')
  } catch (error) {
    fault('propagation', 'inject', error)
  }
  return {}
}

// Baggage is personal data's favourite way out. Only allowed keys are written, whatever else the application put there;
// and only allowed keys are kept of a message's, or the task's outgoing HTTP would hand a stranger's on to others.
function withBaggage(active: Context, allow: (from: Context) => Correlation): Context {
  const allowed = allow(active)
  const entries = Object.entries(allowed)
  if (entries.length === 0) return propagation.getBaggage(active) ? propagation.deleteBaggage(active) : active
  return propagation.setBaggage(
    active,
    propagation.createBaggage(Object.fromEntries(entries.map(([key, value]) => [key, { value }]))),
  )
}
