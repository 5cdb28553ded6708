// Carrier <-> context, safely: through the global propagator, whichever it is; never throwing, never oversized.
import { type Context, context, propagation, ROOT_CONTEXT, type Span, trace } from '@opentelemetry/api'
import { fault, guard } from './faults.ts'
import { type Scope, shared } from './shared.ts'
import type { Carrier, Correlation, Task } from './task.ts'

const MAX_CARRIER = 8_192
const MAX_VALUE = 128
const MAX_KEYS = 20

const getter = {
  // Own string properties only: a carrier is foreign input, and `__proto__` is a key like any other.
  get(carrier: Carrier, key: string): string | undefined {
    const value = Object.hasOwn(carrier, key) ? carrier[key] : undefined
    return typeof value === 'string' ? value : undefined
  },
  keys: (carrier: Carrier): string[] => Object.keys(carrier),
}

const setter = {
  set(carrier: Carrier, key: string, value: string): void {
    carrier[key] = value
  },
}

/** The context that a message carried, from the root: nothing ambient. Hostile carriers give the root, and are counted. */
export function extract(carrier: Carrier | undefined): Context {
  if (carrier === undefined) return ROOT_CONTEXT
  try {
    if (!fits(carrier)) {
      fault('propagation', 'oversized')
      return ROOT_CONTEXT
    }
    return propagation.extract(ROOT_CONTEXT, carrier, getter)
  } catch (error) {
    fault('propagation', 'extract', error)
    return ROOT_CONTEXT
  }
}

// Only what a propagator would read counts: AMQP headers may hold much else.
function fits(carrier: Carrier): boolean {
  let size = 0
  for (const key of propagation.fields()) {
    const value = getter.get(carrier, key)
    if (value !== undefined) size += value.length
    else if (Object.hasOwn(carrier, key) && carrier[key] != null) fault('propagation', 'wrong_type')
  }
  return size <= MAX_CARRIER
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
    propagation.inject(withBaggage(active), carrier, setter)
    let size = 0
    for (const key of Object.keys(carrier)) size += String(carrier[key]).length
    if (size <= MAX_CARRIER) return carrier
    fault('propagation', 'oversized')
  } catch (error) {
    fault('propagation', 'inject', error)
  }
  return {}
}

// Baggage is personal data's favourite way out: only allowed keys are written, whatever else the application put there.
function withBaggage(active: Context): Context {
  const allowed = sendable(active)
  const entries = Object.entries(allowed)
  if (entries.length === 0) return propagation.getBaggage(active) ? propagation.deleteBaggage(active) : active
  return propagation.setBaggage(
    active,
    propagation.createBaggage(Object.fromEntries(entries.map(([key, value]) => [key, { value }]))),
  )
}

function sendable(active: Context): Correlation {
  if (shared.correlation.size === 0) return {}
  const found: Record<string, string> = {}
  const scope = shared.scope.getStore()
  const baggage = propagation.getBaggage(active)
  for (const key of shared.correlation) {
    const value = scope?.bound[key] ?? scope?.task?.correlation?.[key] ?? baggage?.getEntry(key)?.value
    if (value !== undefined) found[key] = cutValue(value)
  }
  return found
}

export interface CorrelationOptions {
  /**
   * The one allow-list of keys that travel with messages as W3C baggage and become span attributes and log fields.
   * Default: none. Values are cut at 128 characters.
   */
  readonly correlation?: readonly string[] | undefined
  /** Adds keys from the payload: `(task) => ({ project_uuid: task.message.data.project })`. A throw is counted. */
  readonly correlate?: ((task: Task) => Readonly<Record<string, unknown>> | undefined) | undefined
}

/** Lets this process's senders carry the keys; called at construction by whatever takes the option. */
export function allowCorrelation(options: CorrelationOptions): void {
  for (const key of options.correlation ?? []) {
    if (shared.correlation.size < MAX_KEYS) shared.correlation.add(key)
  }
}

/** The correlation values of a task: from its message, from what surrounds it, from its payload. Read once per task. */
export function correlationOf(task: Task, options: CorrelationOptions, extracted: () => Context): Correlation {
  if (task.correlation !== undefined) return task.correlation
  const { correlation = [], correlate } = options
  if (correlation.length === 0 && correlate === undefined && task.kind === 'task') {
    task.correlation = NONE
    return NONE
  }
  const values: Record<string, string> = {}
  if (task.kind === 'task') {
    if (correlation.length > 0) {
      const baggage = guard('propagation', 'baggage', () => propagation.getBaggage(extracted()))
      for (const key of correlation) {
        const value = baggage?.getEntry(key)?.value
        if (value !== undefined) values[key] = cutValue(value)
      }
    }
    const added = correlate && guard('propagation', 'correlate', () => correlate(task))
    for (const [key, value] of Object.entries(added ?? {}).slice(0, MAX_KEYS)) {
      if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
        values[key] = cutValue(String(value))
      }
    }
  } else {
    inherit(values, shared.scope.getStore(), correlation)
  }
  task.correlation = values
  return values
}

// A step, a pipeline and a send belong to the task around them, or to what the request bound.
function inherit(values: Record<string, string>, scope: Scope | undefined, keys: readonly string[]): void {
  Object.assign(values, scope?.task?.correlation)
  for (const key of keys) {
    const bound = scope?.bound[key]
    if (bound !== undefined) values[key] = cutValue(bound)
  }
}

const NONE: Correlation = Object.freeze({})

function cutValue(value: string): string {
  return value.length > MAX_VALUE ? value.slice(0, MAX_VALUE) : value
}

/** Runs `fn` with a span active in `parent`. */
export function runInSpan<T>(span: Span, parent: Context, fn: () => T): T {
  return runInContext(guard('propagation', 'context', () => trace.setSpan(parent, span)) ?? parent, fn)
}

/** Runs `fn`, which must not throw synchronously, in a context; whatever a context manager does, exactly once. */
export function runInContext<T>(active: Context, fn: () => T): T {
  let ran: { value: T } | undefined
  try {
    context.with(active, () => {
      ran = { value: fn() }
    })
  } catch (error) {
    fault('propagation', 'context', error)
  }
  return (ran ?? { value: fn() }).value
}
