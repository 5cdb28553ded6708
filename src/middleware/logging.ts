// One line per task, step and pipeline that says how it ended, joined to its trace; never the payload.
import type { Logger } from 'pino'
import { around } from '../kernel/around.ts'
import { allowCorrelation, type CorrelationOptions, correlationOf } from '../kernel/correlation.ts'
import { atLeast, checkOptions, having, strings } from '../kernel/errors.ts'
import { isCall, type Middleware } from '../kernel/task.ts'
import { callEnded, carried, ended, LOST, noticed, startFields, write } from './logging/lines.ts'
import { acknowledge, logger as makeLogger, setCurrentLogger } from './logging/logger.ts'
import { ownLines } from './logging/own-lines.ts'
import { redaction } from './logging/redact.ts'
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

// With levels of its own alone, a pino has no `warn`, say, and would drop those lines without a word.
const levelled = having('child', 'isLevelEnabled', 'debug', 'info', 'warn', 'error')

/** The options that `logging()` takes, for those that pass them on. */
export const LOGGING_OPTIONS = {
  logger: (value: unknown) => levelled(value) && 'must be a pino logger with the levels debug, info, warn and error',
  slowAfterMs: atLeast(0),
  redact: strings,
  correlation: strings,
  correlate: 'function',
} as const
