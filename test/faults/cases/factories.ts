// Every public factory that takes options: how to call it so that it works but for one of them.
import { EventEmitter } from 'node:events'
import type { Job } from 'bullmq'
import { Registry } from 'prom-client'
import { amqp, taskiq } from 'taskspan/amqp'
import { bullmq, checkpoint } from 'taskspan/bullmq'
import { cron } from 'taskspan/cron'
import { logging } from 'taskspan/logging'
import { metrics } from 'taskspan/metrics'
import { pipeline } from 'taskspan/pipeline'
import { reportMetrics } from 'taskspan/processes'
import { start } from 'taskspan/sdk'
import { handler, serve } from 'taskspan/server'
import { type Telemetry, telemetry } from 'taskspan/telemetry'
import { fakeBroker, recordSpans, replay } from 'taskspan/testing'
import { tracing } from 'taskspan/tracing'
import { watch } from 'taskspan/watch'

/** Options of whatever shape: that is what is tried. */
type Given = Readonly<Record<string, never>>

export interface Factory {
  readonly title: string
  /** Among its options is a secret: what may be that one misspelt is not shown. */
  readonly keepsSecrets?: true
  /** The options that it has; a new one must be added here, and is found missing by what the factory says. */
  readonly options: readonly string[]
  /** Throws or rejects at once, or gives what is closed again. */
  readonly make: (given: Given, t: Telemetry) => unknown
}

const registry = new Registry()
const nothing = (): void => {}
const channel = (): EventEmitter =>
  Object.assign(new EventEmitter(), {
    ...{ ack: nothing, nack: nothing },
    consume: async () => ({ consumerTag: 'c' }),
    cancel: async () => ({ consumerTag: 'c' }),
    prefetch: async () => ({}),
  })

const TASK = ['name', 'requeue', 'settle', 'noAck']
const TRACING = ['prefix', 'parent', 'maxTraceAgeMs', 'attributes', 'correlation', 'correlate']
const METRICS = ['prefix', 'registry', 'labels', 'durationBuckets', 'waitBuckets']
const LOGGING = ['logger', 'slowAfterMs', 'redact', 'correlation', 'correlate']
const SERVING = ['telemetry', 'sdk', 'watch', 'checks', 'checkTimeoutMs', 'debug']

export const FACTORIES: readonly Factory[] = [
  {
    title: 'telemetry()',
    options: [...new Set([...TRACING, ...METRICS, ...LOGGING, 'tracing', 'metrics', 'logging', 'onFailure'])],
    make: (given) => telemetry({ registry: new Registry(), ...given }),
  },
  { title: 'tracing()', options: TRACING, make: (given) => tracing(given) },
  { title: 'metrics()', options: METRICS, make: (given) => metrics({ registry: new Registry(), ...given }) },
  { title: 'logging()', options: LOGGING, make: (given) => logging(given) },
  { title: 'bullmq()(processor)', options: ['name'], make: (given, t) => bullmq(t)(async () => {}, given) },
  { title: 'checkpoint()', options: ['ttlMs'], make: (given) => checkpoint(storedJob(), given) },
  {
    title: 'amqp().consume()',
    options: [...TASK, 'prefetch', 'consumerTag', 'noLocal', 'exclusive', 'priority', 'arguments'],
    make: (given, t) => amqp(t).consume(channel() as never, 'clips', nothing, given),
  },
  {
    title: 'amqp().wrap()',
    options: [...TASK, 'queue', 'channel'],
    make: (given, t) => amqp(t).wrap(nothing, { queue: 'clips', channel: channel() as never, ...given }),
  },
  { title: 'amqp().observe()', options: ['queue'], make: (given, t) => amqp(t).observe(channel(), given) },
  {
    title: 'close() of a consumer',
    options: ['graceMs'],
    make: async (given, t) => (await amqp(t).consume(channel() as never, 'clips', nothing)).close(given),
  },
  {
    title: 'taskiq()',
    options: ['args', 'kwargs', 'labels', 'id', 'schedule'],
    make: (given) => taskiq('render', given),
  },
  {
    title: 'cron()(name, fn)',
    options: ['schedule', 'timezone', 'intervalMs'],
    make: (given, t) => cron(t)('nightly', nothing, given),
  },
  {
    title: 'a step',
    options: ['timeoutMs', 'retries', 'backoff', 'skip', 'optional', 'version'],
    make: (given, t) => pipeline('analysis', t).step('one', () => 1, given),
  },
  {
    title: "a step's backoff",
    options: ['initialMs', 'maxMs', 'factor', 'jitter'],
    make: (given, t) => pipeline('analysis', t).step('one', () => 1, { backoff: given }),
  },
  {
    title: "a pipeline's options()",
    options: ['concurrency', 'onFailure'],
    make: (given, t) => pipeline('analysis', t).options(given),
  },
  {
    title: "a pipeline's run()",
    options: ['id', 'signal', 'checkpoint', 'progress', 'keep'],
    make: (given, t) =>
      pipeline('analysis', t)
        .step('one', () => 1)
        .run(undefined, given),
  },
  {
    title: 'start()',
    options: ['app', 'worker', 'version', 'environment', 'logs', 'checks', 'checkTimeoutMs', 'onCheckFailure'],
    make: (given) => start({ app: 'shop', ...given }),
  },
  {
    title: 'serve()',
    options: [...SERVING, 'host', 'port'],
    make: (given, t) => serve({ telemetry: t, port: 0, ...given }),
  },
  { title: 'handler()', options: SERVING, make: (given, t) => handler({ telemetry: t, ...given }) },
  {
    title: "a server's debug",
    keepsSecrets: true,
    options: ['token', 'sections', 'hosts'],
    make: (given, t) => handler({ telemetry: t, debug: given }),
  },
  {
    title: 'watch()',
    options: [
      ...['telemetry', 'queues', 'workers', 'rabbitmq', 'priorities', 'intervalMs', 'stuckAfterMs'],
      ...['stillRunningAfterMs', 'ready'],
    ],
    make: (given, t) => watch({ telemetry: t, ...given }),
  },
  { title: 'reportMetrics()', options: ['intervalMs'], make: (given, t) => reportMetrics(t, given) },
  { title: 'recordSpans()', options: ['register'], make: (given) => recordSpans({ register: false, ...given }) },
  {
    title: 'replay()',
    options: ['through', 'telemetry'],
    make: (given) => replay({ name: 'x' }, nothing, { through: { system: 'm', read: () => NAMED }, ...given }),
  },
]

/** Those that take middlewares: anything but a function is refused. */
export const ONIONS: Readonly<Record<string, (item: never) => unknown>> = {
  'bullmq()': (item) => bullmq(item),
  'amqp()': (item) => amqp(item),
  'cron()': (item) => cron(item),
  'fakeBroker()': (item) => fakeBroker(item),
}

const NAMED = { name: 'x', queue: 'x' }

function storedJob(): Job {
  const queue = { backend: { client: Promise.resolve({}) } }
  return { id: '1', timestamp: 1, queueQualifiedName: 'bull:clips', queue } as unknown as Job
}

export const instance = (): Telemetry => telemetry({ registry, logging: false })
