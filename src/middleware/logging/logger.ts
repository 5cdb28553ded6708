// Loggers: the contract's envelope for pino, and a logger that carries the fields of whatever runs.
import { type Logger, type LoggerOptions, pino } from 'pino'
import { guard } from '../../kernel/faults.ts'
import { identity } from '../../kernel/identity.ts'
import { shared } from '../../kernel/shared.ts'
import type { Correlation } from '../../kernel/task.ts'
import { currentFields, type LogFields } from './fields.ts'
import { type Redact, redaction } from './redact.ts'

/**
 * The `mixin` for a pino of your own: adds trace ids, task fields and bound keys to every line written inside a task.
 *
 * @example
 * const logger = pino({ mixin })
 */
export function mixin(): LogFields {
  return guard('logging', 'fields', currentFields) ?? {}
}

const LEVELS: Readonly<Record<string, string>> = { trace: 'debug', warn: 'warning', fatal: 'critical' }

/**
 * Pino options that give exactly the envelope `timestamp` (ISO 8601), `level` (`debug`, `info`, `warning`, `error`,
 * `critical`), `service`, `environment`, `message`, and the fields of the running task.
 *
 * @param more your own pino options; they win
 * @example
 * const logger = pino(pinoOptions({ level: 'debug' }))
 */
export function pinoOptions(more: LoggerOptions = {}): LoggerOptions {
  const { service, environment } = identity()
  return {
    level: process.env.LOG_LEVEL ?? 'info',
    messageKey: 'message',
    base: { service, environment },
    timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
    mixin,
    ...more,
    formatters: { level: (label) => ({ level: LEVELS[label] ?? label }), ...more.formatters },
  }
}

/**
 * A pino logger with the contract's envelope, to stdout unless told otherwise.
 *
 * @param more your own pino options; they win
 * @param destination a pino destination or transport. Default: stdout
 */
export function logger(more: LoggerOptions = {}, destination?: NodeJS.WritableStream): Logger {
  const made = destination === undefined ? pino(pinoOptions(more)) : pino(pinoOptions(more), destination)
  ours.add(made)
  return made
}

const ours = new WeakSet<object>()

/** Whether `logger()` made it: any other keeps its own envelope. */
export function isOurs(candidate: object): boolean {
  return ours.has(candidate)
}

const children = new WeakMap<object, Logger>()
let fallback: Logger | undefined

/** The child of a logger that adds the current fields and redacts; one per logger and redaction, not one per task. */
export function taskLogger(parent: Logger, redact: Redact = defaultRedact): Logger {
  const known = redact === defaultRedact ? children.get(parent) : undefined
  if (known !== undefined) return known
  const internals = parent as unknown as Record<symbol, unknown>
  // With our mixin (`logger()`, `pino({ mixin })`) the fields are there already.
  const hasFields = internals[pino.symbols.mixinSym] === mixin
  // pino replaces a formatter of the parent's by a child's, so the user's own is called from ours.
  const users = (internals[pino.symbols.formattersSym] as { log?: Redact } | undefined)?.log
  const format = (object: object): Record<string, unknown> => {
    const redacted = guard('logging', 'redact', () => redact(object as Record<string, unknown>)) ?? {}
    const line = hasFields ? redacted : { ...mixin(), ...redacted }
    return users === undefined ? line : users(line)
  }
  const child = parent.child({}, { formatters: { log: format } })
  if (redact === defaultRedact) children.set(parent, child)
  return child
}

const defaultRedact = redaction()

/** Makes `log()` use this logger; the last `logging()` of the process wins. */
export function setCurrentLogger(child: Logger): void {
  fallback = child
}

/**
 * The logger for code inside a task: each line has the trace ids, the task's fields and the bound keys, and credentials
 * are redacted. Outside any task it is the same logger without those fields.
 *
 * @example
 * log().info({ frames }, 'rendered')
 */
export function log(): Logger {
  fallback ??= taskLogger(logger())
  return fallback
}

const MAX_VALUE = 128

/**
 * Runs `fn` with keys bound: they stand on every line of `log()` inside. Those that are on the `correlation` allow-list
 * also travel with the messages sent inside, and become span attributes there.
 *
 * @param fields keys and values; cut at 128 characters
 * @returns what `fn` returns
 * @example
 * app.use((req, res, next) => bind({ request_id: req.id }, next))
 */
export function bind<T>(fields: Readonly<Record<string, string | number | boolean | undefined>>, fn: () => T): T {
  const scope = shared.scope.getStore()
  const bound: Record<string, string> = { ...scope?.bound }
  for (const [key, value] of Object.entries(fields)) {
    if (value !== undefined) bound[key] = String(value).slice(0, MAX_VALUE)
  }
  return shared.scope.run({ task: scope?.task, bound: bound as Correlation }, fn)
}
