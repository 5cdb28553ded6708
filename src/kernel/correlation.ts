// The keys that join telemetry to a request: one allow-list, from the sender's baggage to attributes and log fields.
import { type Context, propagation } from '@opentelemetry/api'
import { atOnce, fault, guard } from './faults.ts'
import { currentScope } from './scope.ts'
import { shared } from './shared.ts'
import type { Correlation, Task } from './task.ts'

const MAX_VALUE = 128
const MAX_KEYS = 20

export interface CorrelationOptions {
  /**
   * The one allow-list of keys that travel with messages as W3C baggage and become span attributes and log fields.
   * Default: none. At most 20 in a process. Values are cut at 128 characters.
   */
  readonly correlation?: readonly string[] | undefined
  /** Adds up to 20 keys from the payload: `(task) => ({ project_uuid: task.message.data.project })`. A throw is counted. */
  readonly correlate?: ((task: Task) => Readonly<Record<string, unknown>> | undefined) | undefined
}

/** Lets this process's senders carry the keys; called at construction by whatever takes the option. */
export function allowCorrelation(options: CorrelationOptions): void {
  for (const key of options.correlation ?? []) {
    if (shared.correlation.size < MAX_KEYS) shared.correlation.add(key)
    else if (!shared.correlation.has(key)) tooMany(`'${key}' does not travel`)
  }
}

function tooMany(what: string): void {
  fault('correlation', 'too_many_keys', new RangeError(`${what}: there are more than ${MAX_KEYS} keys`))
}

/** Whether there is anything to read from a message. */
export function readsCorrelation({ correlation = [], correlate }: CorrelationOptions): boolean {
  return correlation.length > 0 || correlate !== undefined
}

/** The correlation values of a task: from its message, from what surrounds it, from its payload. Read once per task. */
export function correlationOf(
  task: Task,
  options: CorrelationOptions,
  extracted: (task: Task) => Context,
): Correlation {
  if (task.correlation !== undefined) return task.correlation
  const values = task.kind === 'task' ? ofMessage(task, options, extracted) : inherited(task, options)
  // Nothing is not yet an answer: of `tracing(), logging({ correlation })` the second one knows the keys.
  if (values !== NONE) task.correlation = values
  return values
}

function ofMessage(task: Task, options: CorrelationOptions, extracted: (task: Task) => Context): Correlation {
  if (!readsCorrelation(options)) return NONE
  const { correlation = [], correlate } = options
  const values: Record<string, string> = {}
  if (correlation.length > 0) {
    const baggage = guard('correlation', 'baggage', () => propagation.getBaggage(extracted(task)))
    for (const key of correlation) {
      const value = baggage?.getEntry(key)?.value
      if (value !== undefined) values[key] = cutValue(value)
    }
  }
  const added = correlate && guard('correlation', 'correlate', () => Object.entries(atOnce(correlate(task)) ?? {}))
  if (added !== undefined && added.length > MAX_KEYS) tooMany('not all that correlate() gave is taken')
  for (const [key, value] of added?.slice(0, MAX_KEYS) ?? []) {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
      values[key] = cutValue(String(value))
    }
  }
  return values
}

// A step, a pipeline and a send belong to the task around them, or to what the request bound. By the parent, not by the
// scope: a step's own scope is in force before its middleware asks. Nothing is copied unless something was bound.
function inherited(task: Task, { correlation: keys }: CorrelationOptions): Correlation {
  let values = task.parent?.correlation ?? NONE
  if (keys === undefined) return values
  const bound = currentScope()?.bound
  for (const key of keys) {
    const value = bound?.[key]
    if (value !== undefined && values[key] !== value) values = { ...values, [key]: cutValue(value) }
  }
  return values
}

const NONE: Correlation = Object.freeze({})

/** The allowed values that a message sent from here carries: bound ones, the task's, or the application's own baggage. */
export function travelling(active: Context): Correlation {
  const scope = currentScope()
  const baggage = propagation.getBaggage(active)
  return allowed((key) => scope?.bound[key] ?? scope?.task?.correlation?.[key] ?? baggage?.getEntry(key)?.value)
}

/** The allowed values among the baggage of a message. */
export function received(carried: Context): Correlation {
  const baggage = propagation.getBaggage(carried)
  return baggage === undefined ? NONE : allowed((key) => baggage.getEntry(key)?.value)
}

function allowed(read: (key: string) => string | undefined): Correlation {
  if (shared.correlation.size === 0) return NONE
  const found: Record<string, string> = {}
  for (const key of shared.correlation) {
    const value = read(key)
    if (value !== undefined) found[key] = cutValue(value)
  }
  return found
}

function cutValue(value: string): string {
  return value.length > MAX_VALUE ? value.slice(0, MAX_VALUE) : value
}
