// What watch() takes, checked once.
import type { Registry } from 'prom-client'
import { atLeast, checkOptions, strings, TaskspanError } from '../kernel/errors.ts'
import type { Middleware, Task } from '../kernel/task.ts'
import type { BullmqQueue } from './bullmq-queue.ts'
import type { BullmqWorker } from './bullmq-workers.ts'
import type { GivenConnection } from './rabbitmq-connection.ts'

/** What `telemetry()` gives; `metrics()` alone will do. */
export interface WatchedTelemetry extends Middleware {
  readonly registry: Registry | undefined
  readonly prefix: string
  readonly running: ReadonlySet<Task>
}

export interface RabbitMqOptions {
  /**
   * A URL: watch() opens a connection of its own, and opens it again when it is lost. Or amqplib's connection, or a
   * function that gives the one that holds now; on it watch() only opens a channel.
   */
  readonly connection: GivenConnection
  /** The queues to look at, by name. */
  readonly queues: readonly string[]
  /**
   * The management HTTP API, `http://user:password@host:15672`: for unsettled messages, the age of the next one,
   * priorities, memory and alarms. Without credentials in it those of the AMQP URL are used.
   */
  readonly managementUrl?: string | undefined
  /** For the management API. Default: that of the AMQP URL, else `/`. */
  readonly vhost?: string | undefined
}

export interface WatchOptions {
  /** Where gauges and log lines go, and whose tasks are reported as still running. */
  readonly telemetry: WatchedTelemetry
  /** BullMQ `Queue` objects, on Redis or PostgreSQL. The queues of `workers` need not be listed. */
  readonly queues?: readonly BullmqQueue[] | undefined
  /** BullMQ `Worker` objects of this process: their queues are looked at, and each is seen when it becomes deaf. */
  readonly workers?: readonly BullmqWorker[] | undefined
  readonly rabbitmq?: RabbitMqOptions | undefined
  /** Priorities whose depths are shown. Default: none. */
  readonly priorities?: readonly number[] | undefined
  /** Time between two looks, in ms. What is older than three of them is no longer shown. Default 15,000. */
  readonly intervalMs?: number | undefined
  /** A worker that could take a message and has taken none for this long, in ms, is stuck. Default 60,000. */
  readonly stuckAfterMs?: number | undefined
  /** A task that has run for this long, in ms, gets a `task.still_running` line, and again at each doubling. Default 60,000. */
  readonly stillRunningAfterMs?: number | undefined
  /** Lets `/ready` fail while a worker of this process is stuck. Default `false`. */
  readonly ready?: boolean | undefined
}

const is =
  (what: string, methods: readonly string[]) =>
  (value: unknown): string | undefined => {
    const all =
      Array.isArray(value) &&
      value.every((item) => methods.every((method) => typeof (item as Methods | null)?.[method] === 'function'))
    return all ? undefined : `must be an array of ${what}`
  }

type Methods = Readonly<Record<string, unknown>>

export function checkWatchOptions(options: WatchOptions): void {
  checkOptions('watch', options, {
    telemetry: (value) =>
      typeof value === 'function' && 'running' in value && 'prefix' in value
        ? undefined
        : 'must be what telemetry() or metrics() gave',
    queues: is("BullMQ's Queue objects", ['getBackend']),
    workers: is("BullMQ's Worker objects", ['getBackend', 'isPaused', 'on']),
    rabbitmq: 'object',
    priorities: (value) =>
      Array.isArray(value) && value.length <= 50 && value.every((item) => Number.isInteger(item) && item >= 0)
        ? undefined
        : 'must be at most 50 integers from 0',
    intervalMs: atLeast(100),
    stuckAfterMs: atLeast(0),
    stillRunningAfterMs: atLeast(1),
    ready: 'boolean',
  })
  if (options.telemetry === undefined) throw invalid('watch', "'telemetry' is required")
  if (options.rabbitmq !== undefined) checkRabbitMq(options.rabbitmq)
}

function checkRabbitMq(options: RabbitMqOptions): void {
  const where = 'watch: rabbitmq'
  checkOptions(where, options, {
    connection: () => undefined,
    queues: strings,
    managementUrl: 'string',
    vhost: 'string',
  })
  if (options.queues === undefined) throw invalid(where, "'queues' is required")
  // Neither value is shown: a URL has a password in it.
  const { connection, managementUrl } = options
  const isGiven =
    typeof connection === 'function' ||
    typeof (connection as { createChannel?: unknown } | undefined)?.createChannel === 'function'
  if (!isGiven && !isUrl(connection, ['amqp:', 'amqps:'])) {
    throw invalid(where, "'connection' must be an amqp URL, amqplib's connection, or a function that gives it")
  }
  if (managementUrl !== undefined && !isUrl(managementUrl, ['http:', 'https:'])) {
    throw invalid(where, "'managementUrl' must be an http URL")
  }
}

function isUrl(value: unknown, protocols: readonly string[]): boolean {
  if (typeof value !== 'string' || !URL.canParse(value)) return false
  const { protocol, hostname } = new URL(value)
  return protocols.includes(protocol) && hostname !== ''
}

function invalid(where: string, what: string): TaskspanError {
  return new TaskspanError('INVALID_OPTION', `${where}: ${what}.`)
}
