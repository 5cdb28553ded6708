// Every part below and beside ours that can throw, one at a time; the conformance suite's own are among them.
import { pino } from 'pino'
import { Counter, Gauge, Histogram } from 'prom-client'
import { serve } from 'taskspan/server'
import { type TelemetryOptions, telemetry } from 'taskspan/telemetry'
import { FAULTY, FAULTY_ON_FAILURE, FAULTY_SENDERS } from '../../conformance/faulty.ts'
import type { Bench, ContenderName } from '../fault.ts'
import { boom, type Part } from './part.ts'
import { METER, SDK, SPANS } from './parts-otel.ts'

/** Those who take such options; the careless one has most of them. */
const WITH_OPTIONS: readonly ContenderName[] = ['taskspan', 'careless']

const KNOWN: readonly Part[] = [...FAULTY, ...FAULTY_ON_FAILURE].map(({ title, options, arrange }) => ({
  title,
  ...(options && { options, contenders: WITH_OPTIONS }),
  ...(arrange && { arrange }),
}))

function broken<T extends object>(target: T, method: keyof T): (bench: Bench) => void {
  return ({ after }) => {
    const own = Object.getOwnPropertyDescriptor(target, method)
    Object.defineProperty(target, method, { value: boom, configurable: true, writable: true })
    after(() => (own ? Object.defineProperty(target, method, own) : delete target[method]))
  }
}

const PROM: readonly Part[] = [
  ...(['inc', 'labels'] as const).map((method) => ({
    title: `prom-client's counter.${method}()`,
    sabotage: broken(Counter.prototype, method),
  })),
  ...(['inc', 'dec', 'set', 'labels'] as const).map((method) => ({
    title: `prom-client's gauge.${method}()`,
    sabotage: broken(Gauge.prototype, method),
  })),
  ...(['observe', 'labels', 'startTimer'] as const).map((method) => ({
    title: `prom-client's histogram.${method}()`,
    sabotage: broken(Histogram.prototype, method),
  })),
  ...(['getSingleMetric', 'registerMetric', 'removeSingleMetric'] as const).map((method) => ({
    title: `the registry's ${method}()`,
    blind: true,
    sabotage: (bench: Bench) => broken(bench.recorded.metrics.registry, method)(bench),
  })),
  {
    title: 'another collector of the same scrape',
    sabotage: ({ recorded }: Bench) =>
      void new Gauge({ name: 'theirs', help: 'A neighbour.', registers: [recorded.metrics.registry], collect: boom }),
  },
].map((part) => ({ ...part, contenders: WITH_OPTIONS }))

const nowhere = { write() {} }
const methods = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {}, isLevelEnabled: () => true }
const loggerWithout = (method: string, value: unknown = boom): TelemetryOptions => {
  const logger: Record<string, unknown> = { ...methods, child: () => logger, bindings: () => ({}), level: 'debug' }
  Object.defineProperty(logger, method, typeof value === 'function' ? { value } : (value as PropertyDescriptor))
  return { logger: logger as never }
}

/** What happens to the logger once it has been accepted. */
function childless(): Part {
  const options = loggerWithout('isSilent')
  return {
    title: "the logger's child()",
    options,
    sabotage: () => void Object.assign(options.logger as object, { child: boom }),
  }
}

const LOGS: readonly Part[] = [
  ...[...Object.keys(methods), 'bindings'].map((method) => ({
    title: `the logger's ${method}()`,
    options: loggerWithout(method),
  })),
  childless(),
  { title: "the logger's level", options: loggerWithout('level', { get: boom }) },
  {
    title: "the logger's serialisers",
    options: {
      logger: pino(
        { level: 'debug', serializers: { error: boom, err: boom, task_name: boom, correlation: boom } },
        nowhere,
      ),
    },
  },
  { title: "the logger's mixin", options: { logger: pino({ level: 'debug', mixin: boom }, nowhere) } },
  { title: "the logger's format", options: { logger: pino({ level: 'debug', formatters: { log: boom } }, nowhere) } },
  {
    title: "the logger's redaction",
    options: { logger: pino({ level: 'debug', redact: { paths: ['task_name', 'body'], censor: boom } }, nowhere) },
  },
].map((part) => ({ ...part, contenders: WITH_OPTIONS }))

const hostile = (): never => new Proxy({}, { get: boom, ownKeys: boom, has: boom, getPrototypeOf: boom }) as never
const rejects = (): never => Promise.reject(new Error('a callback broke')) as never
const answers = { rejects: rejects, 'gives what throws at every touch': hostile }

const CALLBACKS: readonly Part[] = [
  ...Object.entries(answers).flatMap(([how, answer]) =>
    (['attributes', 'correlate', 'parent', 'onFailure'] as const)
      .map((name): Part => ({ title: `the user's ${name}, which ${how}`, options: { [name]: answer } }))
      .concat({ title: `the user's label, which ${how}`, options: { labels: { tier: answer } } }),
  ),
  { title: "the user's requeue policy", place: 'RabbitMQ' as const },
].map((part) => ({ ...part, contenders: WITH_OPTIONS }))

const CHECKS: Part = {
  title: "the user's checks, asked by a probe",
  contenders: ['taskspan'],
  async sabotage({ after, recorded }) {
    const t = telemetry({ registry: recorded.metrics.registry, logger: recorded.logs.logger })
    const served = await serve({ telemetry: t, port: 0, checks: { thrown: boom, rejected: async () => boom() } })
    after(() => served.close())
    const { status } = await fetch(new URL('/ready', served.address))
    if (status !== 503) throw new Error(`/ready answers ${status}`)
  },
}

/** What stands around a task. */
export const PARTS: readonly Part[] = [...KNOWN, ...SDK, ...SPANS, METER, ...PROM, ...LOGS, ...CALLBACKS, CHECKS]

/** What stands around a send. */
export const SENDING_PARTS: readonly Part[] = [
  ...KNOWN.filter(({ title }) => !title.includes('onFailure')),
  ...FAULTY_SENDERS.map(({ title, arrange }) => ({ title, ...(arrange && { arrange }) })),
  ...SDK,
  ...SPANS,
  METER,
  ...PROM,
  ...LOGS,
  ...CALLBACKS.filter(({ title, place }) => place === undefined && !title.includes('onFailure')),
]
