// Loggers: one envelope for pino, and a logger that carries the fields of whatever runs.
import { diag } from '@opentelemetry/api'
import { type Logger, type LoggerOptions, pino } from 'pino'
import { fault, guard } from '../../kernel/faults.ts'
import { identity } from '../../kernel/identity.ts'
import { currentScope, NO_TASK, runInScope } from '../../kernel/scope.ts'
import { mixin } from './fields.ts'
import { passing, passOn } from './passing.ts'
import { taskLogger } from './task-logger.ts'

export { mixin } from './fields.ts'

const LEVELS: Readonly<Record<string, string>> = { trace: 'debug', warn: 'warning', fatal: 'critical' }

/** pino's name of a level, also where it was given as the envelope writes it; a wrong one must not end the process. */
export function levelOf(name: string): string {
  const wanted = name.toLowerCase()
  const level = wanted === 'warning' ? 'warn' : wanted === 'critical' ? 'fatal' : wanted
  if (level === 'silent' || Object.hasOwn(pino.levels.values, level)) return level
  fault('logging', 'level', new Error(`LOG_LEVEL is '${name}': it must be debug, info, warning, error or critical`))
  return 'info'
}

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
    level: levelOf(process.env.LOG_LEVEL || 'info'),
    messageKey: 'message',
    base: { service, environment },
    timestamp,
    mixin,
    ...more,
    formatters: { level: (label) => ({ level: LEVELS[label] ?? label }), ...more.formatters },
    hooks: { ...more.hooks, streamWrite: passing(more.hooks?.streamWrite) },
  }
}

let second = Number.NaN
let upToSecond = ''

// ISO 8601. Only the milliseconds change from line to line: formatting the rest anew would cost as much as the fields.
function timestamp(): string {
  const now = Date.now()
  const current = Math.floor(now / 1000)
  if (current !== second) {
    upToSecond = `,"timestamp":"${new Date(current * 1000).toISOString().slice(0, -4)}`
    second = current
  }
  return `${upToSecond}${String(now - current * 1000).padStart(3, '0')}Z"`
}

/**
 * A pino logger with the envelope of `pinoOptions()`, to stdout unless told otherwise.
 *
 * @param more your own pino options; they win
 * @param destination a pino destination or transport. Default: stdout
 */
export function logger(more: LoggerOptions = {}, destination?: NodeJS.WritableStream): Logger {
  const given = destination ?? (more.transport === undefined ? stdout() : undefined)
  const made = given === undefined ? pino(pinoOptions(more)) : pino(pinoOptions(more), given)
  ours.add(made)
  return made
}

// As pino's own default, but for `sync`: without that word pino puts a listener for 'exit' on the process.
function stdout(): NodeJS.WritableStream {
  return pino.destination({ fd: process.stdout.fd || 1, sync: true }) as unknown as NodeJS.WritableStream
}

const ours = new WeakSet<object>()

/** Says once of each logger that is not from `logger()` that it keeps its own envelope. */
export function acknowledge(given: Logger): void {
  if (ours.has(given)) return
  ours.add(given)
  guard('logging', 'diag', () =>
    diag.info('taskspan: the given logger keeps its own envelope; our fields are added to its lines.'),
  )
}

let fallback: Logger | undefined

/** Makes `log()` use this logger; the last `logging()` of the process wins. */
export function setCurrentLogger(child: Logger): void {
  passOn(child)
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
 * @param fields keys and values; cut at 128 characters. What cannot become a text is counted
 * @returns what `fn` returns
 * @example
 * app.use((req, res, next) => bind({ request_id: req.id }, next))
 */
export function bind<T>(fields: Readonly<Record<string, string | number | boolean | undefined>>, fn: () => T): T {
  const scope = currentScope() ?? NO_TASK
  const bound: Record<string, string> = { ...scope.bound }
  // What cannot be written as a text, or read at all, must not keep a request from running.
  guard('logging', 'bind', () => {
    for (const [key, value] of Object.entries(fields)) {
      if (value !== undefined) bound[key] = String(value).slice(0, MAX_VALUE)
    }
  })
  return runInScope({ task: scope.task, bound, call: scope.call }, fn)
}
