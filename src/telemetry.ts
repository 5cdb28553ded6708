// The preset: tracing, metrics and logging as one middleware, and what a server reads of it.
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { METRICS_OPTIONS, type MetricsOptions, metrics } from './middleware/metrics.ts'

// The metrics come first, so that prom-client is loaded before pino: the other way round Node 22 compiles its reader of
// CommonJS exports a second time, which costs 30 ms of CPU.

import { around } from './kernel/around.ts'
import { compose } from './kernel/compose.ts'
import type { CorrelationOptions } from './kernel/correlation.ts'
import { checkOptions } from './kernel/errors.ts'
import { DEFAULT_PREFIX } from './kernel/names.ts'
import { shared } from './kernel/shared.ts'
import type { Middleware, Task } from './kernel/task.ts'
import { LOGGING_OPTIONS, type LoggingOptions, logging } from './middleware/logging.ts'
import { type OnFailure, onFailure } from './middleware/on-failure.ts'
import { Recent } from './middleware/recent.ts'
import { TRACING_OPTIONS, type TracingOptions, tracing } from './middleware/tracing.ts'

export interface TelemetryOptions
  extends Omit<TracingOptions, 'prefix'>,
    Omit<MetricsOptions, 'prefix'>,
    LoggingOptions,
    CorrelationOptions {
  /** Prefix of span, attribute and metric names. Default `taskiq`. */
  readonly prefix?: string | undefined
  /** `false` switches spans off. Default `true`. */
  readonly tracing?: boolean | undefined
  /** `false` switches metrics off. Default `true`. */
  readonly metrics?: boolean | undefined
  /** `false` switches log lines off. Default `true`. */
  readonly logging?: boolean | undefined
  /** Called once per final failure of a task, for Sentry and the like. What it throws is counted. */
  readonly onFailure?: OnFailure | undefined
}

/** One middleware that does all three, and what a server needs of it. */
export interface Telemetry extends Middleware {
  /** The registry to render; undefined with `metrics: false`. */
  readonly registry: Registry | undefined
  /** Of span, attribute and metric names. */
  readonly prefix: string
  /** The tasks running now, oldest first. */
  readonly running: ReadonlySet<Task>
  /** The near past, for a server's `/debug`: bounded, and empty until it is opened. */
  readonly recent: Recent
  /** Where lines are written, for a server's `/debug/log-level`; empty with `logging: false`. */
  readonly loggers: readonly Logger[]
  /** What is in force, for a server's `/debug/config`. */
  readonly options: TelemetryOptions
}

/**
 * The preset: `compose(tracing(), metrics(), logging())` with one set of options. It opens and starts nothing.
 *
 * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`, `METRIC_NAME_TAKEN`
 * @example
 * const t = telemetry({ correlation: ['request_id'], onFailure: (error) => Sentry.captureException(error) })
 * const instrument = bullmq(t)
 */
export function telemetry(options: TelemetryOptions = {}): Telemetry {
  checkOptions('telemetry', options, TELEMETRY_OPTIONS)
  const measured = options.metrics === false ? undefined : metrics(pick(options, METRICS_OPTIONS))
  const parts: Middleware[] = []
  if (options.tracing !== false) parts.push(tracing(pick(options, TRACING_OPTIONS)))
  if (measured !== undefined) parts.push(measured)
  const logged = options.logging === false ? undefined : logging(pick(options, LOGGING_OPTIONS))
  if (logged !== undefined) parts.push(logged)
  if (options.onFailure !== undefined) parts.push(onFailure(options.onFailure))

  const prefix = options.prefix ?? DEFAULT_PREFIX
  const running = measured?.running ?? new Set<Task>()
  if (measured === undefined) parts.push(keeping(running as Set<Task>))

  const recent = new Recent(logged?.loggers[0])
  const onion = compose(recent.middleware, ...parts)
  // As with log(): the last one is who sees what happens outside of any task.
  shared.telemetry = onion
  return Object.assign(onion, {
    ...{ registry: measured?.registry, prefix, running, recent },
    loggers: logged?.loggers ?? [],
    options: { ...DEFAULTS, ...options, prefix },
  })
}

const DEFAULTS = { tracing: true, metrics: true, logging: true, parent: 'child', correlation: [] } as const

// Metrics keep the running tasks for a gauge; without metrics somebody else must.
function keeping(running: Set<Task>): Middleware {
  return around({
    part: 'running',
    start(task) {
      if (task.kind === 'task') running.add(task)
      return undefined
    },
    end(task) {
      running.delete(task)
    },
  })
}

const TELEMETRY_OPTIONS = {
  ...TRACING_OPTIONS,
  ...METRICS_OPTIONS,
  ...LOGGING_OPTIONS,
  tracing: 'boolean',
  metrics: 'boolean',
  logging: 'boolean',
  onFailure: 'function',
} as const

function pick<T extends object>(options: T, keys: object): { [K in keyof T]: T[K] } {
  return Object.fromEntries(Object.entries(options).filter(([key]) => Object.hasOwn(keys, key))) as T
}
