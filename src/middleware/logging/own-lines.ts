// Our lines of a task that starts or succeeds: the text that pino would write, joined without pino's walk through fields.
import { context, trace } from '@opentelemetry/api'
import { type Logger, pino } from 'pino'
import { fault } from '../../kernel/faults.ts'
import { maskUrls } from '../../kernel/mask.ts'
import type { Ending } from '../../kernel/outcome.ts'
import { round } from '../../kernel/round.ts'
import { currentScope } from '../../kernel/scope.ts'
import type { Task } from '../../kernel/task.ts'
import { mixin } from './fields.ts'
import type { Redact } from './redact.ts'

const { symbols } = pino
// Published as well, but not in its types.
const { mixinMergeStrategySym, needsMetadataGsym } = symbols as unknown as Record<string, symbol>

// What pino's loggers keep under the symbols that it publishes for extensions.
interface Internals {
  readonly levels: { readonly values: Readonly<Record<string, number>> }
  readonly msgPrefix: string | undefined
  readonly [symbols.chindingsSym]: string
  readonly [symbols.endSym]: string
  readonly [symbols.formattersSym]: { readonly log?: unknown }
  readonly [symbols.hooksSym]: { readonly logMethod?: unknown; readonly streamWrite?: (line: string) => string }
  readonly [symbols.lsCacheSym]: Readonly<Record<number, string>>
  readonly [symbols.messageKeySym]: string
  readonly [symbols.mixinSym]?: unknown
  readonly [symbols.nestedKeySym]?: unknown
  readonly [symbols.serializersSym]: object
  readonly [symbols.streamSym]: { write(line: string): unknown }
  readonly [symbols.stringifiersSym]: object
  readonly [symbols.timeSym]: () => string
}

/** Each gives whether it has written the line; what it has not is pino's to write. */
export interface OwnLines {
  readonly started: (task: Task) => boolean
  readonly succeeded: (task: Task, ending: Ending) => boolean
}

const FIELDS = [
  ...['trace_id', 'span_id', 'task_name', 'task_type', 'queue', 'attempt', 'task_id', 'schedule_id'],
  ...['max_attempts', 'priority', 'wait_ms', 'outcome', 'duration_ms'],
] as const
const LEVEL = { debug: 20, info: 30 } as const

/**
 * The short way to a logger's stream; undefined when its options have a say in what becomes of our fields.
 *
 * @param given the logger with the user's options
 * @param logger its child that redacts: where the level and the stream are
 */
export function ownLines(given: Logger, logger: Logger, redact: Redact): OwnLines | undefined {
  if (!isPlain(given as unknown as Partial<Internals>, redact)) return undefined
  const internals = logger as unknown as Internals
  const messageKey = JSON.stringify(internals[symbols.messageKeySym])
  const started = `,${messageKey}:"task.started"`
  const succeeded = `,${messageKey}:"task.succeeded"`

  const write = (level: number, fields: string, message: string): boolean => {
    const stream = internals[symbols.streamSym]
    if (at(stream, needsMetadataGsym) === true) return false
    const start = internals[symbols.lsCacheSym][level] + internals[symbols.timeSym]() + internals[symbols.chindingsSym]
    const line = start + fields + message + internals[symbols.endSym]
    const { streamWrite } = internals[symbols.hooksSym]
    try {
      stream.write(streamWrite === undefined ? line : streamWrite(line))
    } catch (error) {
      fault('logging', 'write', error) // a destination that fails throws into whoever writes
    }
    return true
  }
  return {
    started(task) {
      const fields = fieldsOf(task, redact)
      return fields !== undefined && write(LEVEL.debug, fields, started)
    },
    succeeded(task, { durationMs }) {
      const fields = fieldsOf(task, redact)
      if (fields === undefined) return false
      const ended = `,"outcome":"success","duration_ms":${round(durationMs)}`
      return write(LEVEL.info, fields + ended, succeeded)
    },
  }
}

// Whatever a user has told pino to do with fields, levels or lines, pino itself must do.
function isPlain(given: Partial<Internals>, redact: Redact): boolean {
  const serializers = given[symbols.serializersSym]
  const stringifiers = given[symbols.stringifiersSym]
  const own = Object.fromEntries(FIELDS.map((field) => [field, '']))
  return (
    serializers !== undefined &&
    stringifiers !== undefined &&
    [...FIELDS, given[symbols.messageKeySym] ?? ''].every((field) => !(field in serializers)) &&
    Reflect.ownKeys(stringifiers).length === 0 &&
    (given[symbols.mixinSym] === undefined ||
      (given[symbols.mixinSym] === mixin && at(given, mixinMergeStrategySym) === undefined)) &&
    given[symbols.formattersSym]?.log === undefined &&
    given[symbols.hooksSym]?.logMethod === undefined &&
    !given[symbols.nestedKeySym] &&
    given.msgPrefix === undefined &&
    Object.entries(LEVEL).every(([name, value]) => given.levels?.values[name] === value) &&
    redact(own) === own
  )
}

function at(object: object, key: symbol | undefined): unknown {
  return (object as Record<symbol, unknown>)[key as symbol]
}

// As `mixin()` and the fields of the line give them, in their order. Undefined where more stands on a line than this.
function fieldsOf(task: Task, redact: Redact): string | undefined {
  const scope = currentScope()
  if (task.kind !== 'task' || task.lost || scope?.task !== task) return undefined
  for (const _ in scope.bound) return undefined
  let text = ''
  const span = trace.getSpanContext(context.active())
  if (span !== undefined) text = `,"trace_id":${quote(span.traceId)},"span_id":${quote(span.spanId)}`
  text += `,"task_name":${known(task.name)},"task_type":${known(task.type)},"queue":${known(task.queue)}`
  text += `,"attempt":${number(task.attempt)}`
  if (task.id !== undefined) text += `,"task_id":${quote(task.id.slice(0, MAX_ID))}`
  if (task.schedule !== undefined) text += `,"schedule_id":${quote(task.schedule.id)}`
  const correlation = redact(task.correlation)
  for (const key in correlation) text += `,${known(key)}:${quote(correlation[key])}`
  if (task.maxAttempts !== undefined) text += `,"max_attempts":${number(task.maxAttempts)}`
  if (task.priority !== undefined) text += `,"priority":${number(task.priority)}`
  if (task.waitMs !== undefined) text += `,"wait_ms":${number(task.waitMs)}`
  return text
}

const MAX_ID = 1_024 // as in fields.ts

// Nothing to escape, and no slash: so no URL with credentials either.
const PLAIN = /^[ !#-.0-[\]-~]*$/

function quote(value: unknown): string {
  if (typeof value === 'string') return PLAIN.test(value) ? `"${value}"` : JSON.stringify(maskUrls(value))
  return JSON.stringify(value) ?? 'null'
}

function number(value: number): number | null {
  return Number.isFinite(value) ? value : null
}

// Names repeat from task to task.
const quoted = new Map<string, string>()

function known(value: string): string {
  let text = quoted.get(value)
  if (text === undefined) {
    text = quote(value)
    if (quoted.size < 1_000) quoted.set(value, text)
  }
  return text
}
