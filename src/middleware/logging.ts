// One line per task, step and pipeline that says how it ended, joined to its trace; never the payload.
import type { Context } from '@opentelemetry/api'
import type { Logger } from 'pino'
import { around } from '../kernel/around.ts'
import { allowCorrelation, type CorrelationOptions, correlationOf } from '../kernel/correlation.ts'
import { atLeast, checkOptions, strings } from '../kernel/errors.ts'
import type { TaskEvent } from '../kernel/event.ts'
import { guard } from '../kernel/faults.ts'
import { describeError, type Ending, type Outcome, rejectReason } from '../kernel/outcome.ts'
import { extract } from '../kernel/propagation.ts'
import { isCall, type Middleware, type Task } from '../kernel/task.ts'
import { type LogFields, taskFields } from './logging/fields.ts'
import { acknowledge, logger as makeLogger, setCurrentLogger } from './logging/logger.ts'
import { type OwnLines, ownLines } from './logging/own-lines.ts'
import { redaction } from './logging/redact.ts'
import { writeLine } from './logging/reported.ts'
import { defaultRedact, taskLogger } from './logging/task-logger.ts'

export { bind, log, logger, mixin, pinoOptions } from './logging/logger.ts'

export interface LoggingOptions extends CorrelationOptions {
  /** A pino logger of your own keeps its envelope and gets our fields. Default: `logger()`, JSON to stdout. */
  readonly logger?: Logger | undefined
  /** A task that ran longer than this, in ms, gets a `task.slow` line. Default 30,000. */
  readonly slowAfterMs?: number | undefined
  /** More keys whose values become `[REDACTED]`; compared without case, `_` and `-`. */
  readonly redact?: readonly string[] | undefined
}

/** The logging middleware, and what a server needs of it. */
export interface Logging extends Middleware {
  /** The one behind `log()` and our lines, and the one that it was made from: where a level is changed. */
  readonly loggers: readonly [Logger, Logger]
}

/**
 * Middleware that writes `task.started` (debug) and one line with the outcome, duration and trace ids per task.
 *
 * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`
 * @example
 * const instrument = bullmq(logging({ logger: pino({ level: 'debug' }), redact: ['iban'] }))
 */
export function logging(options: LoggingOptions = {}): Logging {
  checkOptions('logging', options, LOGGING_OPTIONS)
  allowCorrelation(options)
  const parent = options.logger ?? makeLogger()
  acknowledge(parent)
  const redact = options.redact === undefined ? defaultRedact : redaction(options.redact)
  const logger = taskLogger(parent, redact)
  const own = ownLines(parent, logger, redact)
  setCurrentLogger(logger)
  const slowAfterMs = options.slowAfterMs ?? 30_000

  const middleware = around({
    part: 'logging',
    start(task) {
      if (task.kind === 'send' || isCall(task)) return undefined
      correlationOf(task, options, carried)
      task.log = logger
      // At once: the run that found the loss may take hours, or be lost itself.
      for (let n = Math.min(task.lost ?? 0, 5); n > 0; n--) write(logger, 'error', () => ({ ...LOST }), 'task.lost')
      if (logger.isLevelEnabled('debug') && !own?.started(task)) logger.debug(startFields(task), `${task.kind}.started`)
      return undefined
    },
    end(task, ending) {
      if (task.kind === 'ext') callEnded(logger, task, ending)
      else if (task.kind !== 'send' && !isCall(task)) ended(logger, own, task, ending, slowAfterMs)
    },
    notice(event) {
      if (event.kind === 'inside') event.task.log = logger
      else if (event.kind === 'handing_over') event.takes.lines = true
      else noticed(logger, event, options)
    },
  })
  return Object.assign(middleware, { loggers: [logger, parent] as const })
}

/** The options that `logging()` takes, for those that pass them on. */
export const LOGGING_OPTIONS = {
  logger: (value: unknown) =>
    typeof (value as Logger | null)?.child === 'function' ? undefined : 'must be a pino logger',
  slowAfterMs: atLeast(0),
  redact: strings,
  correlation: strings,
  correlate: 'function',
} as const

function carried(task: Task): Context {
  return extract(task.carrier)
}

type Level = 'debug' | 'info' | 'warn' | 'error'

const VERBS: Readonly<Record<Outcome, readonly [Level, string]>> = {
  success: ['info', 'succeeded'],
  failure: ['error', 'failed'],
  retry: ['warn', 'retrying'],
  deferred: ['info', 'deferred'],
  rejected: ['warn', 'rejected'],
  cancelled: ['info', 'cancelled'],
  lost: ['error', 'lost'],
  timeout: ['error', 'timeout'],
  skipped: ['info', 'skipped'],
  restored: ['info', 'restored'],
}

// Assigned one by one: spread objects cost several times the line that they make.
function startFields({ maxAttempts, priority, waitMs, lost }: Task): LogFields {
  const fields: LogFields = {}
  if (maxAttempts !== undefined) fields.max_attempts = maxAttempts
  if (priority !== undefined) fields.priority = priority
  if (waitMs !== undefined) fields.wait_ms = waitMs
  if (lost) fields.recovered = true
  return fields
}

function ended(logger: Logger, own: OwnLines | undefined, task: Task, ending: Ending, slowAfterMs: number): void {
  const { outcome, durationMs } = ending
  const [usual, verb] = VERBS[outcome]
  // A pipeline of a thousand steps must not write a thousand lines to say that all went well; its own line says it.
  const level = task.kind === 'step' && usual === 'info' ? 'debug' : usual
  if (outcome !== 'success' || !logger.isLevelEnabled(level) || !own?.succeeded(task, ending)) {
    writeEnding(logger, level, task, ending, outcome === 'rejected' ? 'message.rejected' : `${task.kind}.${verb}`)
  }
  if (task.kind === 'task' && durationMs > slowAfterMs) slow(logger, durationMs)
}

// Functions of their own: what a closure may need is put on the heap before it is known whether there will be one.
function writeEnding(logger: Logger, level: Level, task: Task, ending: Ending, message: string): void {
  write(logger, level, () => endFields(task, ending), message)
}

function slow(logger: Logger, durationMs: number): void {
  write(logger, 'warn', () => ({ duration_ms: round(durationMs) }), 'task.slow')
}

// A warning: whether it is an error is for the task to say, which may try again or go on without.
function callEnded(logger: Logger, task: Task, { outcome, durationMs, error }: Ending): void {
  if (outcome !== 'failure') return
  // Not `service`: that is the envelope's word for this process.
  const fields = { ext: task.queue, operation: task.name, outcome, duration_ms: round(durationMs) }
  write(logger, 'warn', () => ({ ...fields, error: errorFields(error) }), 'ext.failed')
}

const LOST = {
  outcome: 'lost',
  reason: 'The attempt before ended without a word; its real start is not known.',
} as const

function endFields(task: Task, { outcome, durationMs, threw, error }: Ending): LogFields {
  const fields = startFields(task)
  fields.outcome = outcome
  fields.duration_ms = round(durationMs)
  const reason = task.endDetails?.['step.skip_reason']
  if (reason !== undefined) fields.reason = reason
  if (!threw) return fields
  if (task.kind === 'task') fields.will_retry = outcome === 'retry'
  if (outcome === 'rejected') {
    fields.reason = rejectReason(error)
    // What the handler said to the reader of the log; a stack would only lead to its `throw reject()`.
    const { type, message } = describeError(error)
    fields.error = { type, message }
    return fields
  }
  fields.error = errorFields(error)
  if (task.fate !== undefined) fields.reason = task.fate
  return fields
}

function errorFields(error: unknown): LogFields {
  const { type, message, stack, code } = describeError(error)
  return {
    type,
    message,
    ...(stack !== undefined && { stack }),
    ...(code !== undefined && { code }),
  }
}

function noticed(logger: Logger, event: TaskEvent, options: LoggingOptions): void {
  switch (event.kind) {
    case 'lost':
    case 'failed':
    case 'gave_up': {
      const { task } = event
      correlationOf(task, options, carried)
      const fields = { ...taskFields(task), ...startFields(task), outcome: event.kind === 'lost' ? 'lost' : 'failure' }
      const error = event.error === undefined ? {} : { error: errorFields(event.error) }
      const message = event.kind === 'lost' ? 'task.lost' : 'task.failed'
      return write(logger, 'error', () => ({ ...fields, will_retry: false, ...error }), message)
    }
    case 'schedule':
      return write(logger, 'warn', () => ({ schedule_id: event.schedule, count: event.count }), `cron.${event.event}`)
    case 'broker': {
      const error = event.error === undefined ? {} : { error: errorFields(event.error) }
      const fields = { queue: event.queue, event: event.event, ...error }
      return write(logger, 'warn', () => fields, `broker.${event.event}`)
    }
    case 'reported':
      for (const line of event.report.lines) writeLine(logger, line)
      return
    case 'note':
      return write(logger, event.level, () => noteFields(event), event.name)
    case 'line': {
      const error = event.error === undefined ? {} : { error: errorFields(event.error) }
      return write(logger, event.level, () => ({ ...event.fields, ...error }), event.message)
    }
  }
}

function noteFields({ task, details, error }: Extract<TaskEvent, { kind: 'note' }>): LogFields {
  const fields = taskFields(task)
  for (const key in details) fields[key.slice(key.lastIndexOf('.') + 1)] = details[key]
  if (error !== undefined) fields.error = errorFields(error)
  return fields
}

function write(logger: Logger, level: Level, fields: () => LogFields, message: string): void {
  guard('logging', 'write', () => {
    if (logger.isLevelEnabled(level)) logger[level](fields(), message)
  })
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100
}
