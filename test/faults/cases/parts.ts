// Every part below and beside ours that can throw, one at a time; the conformance suite's own are among them.
import { metrics as otelMetrics, type Span, type Tracer, trace } from '@opentelemetry/api'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  SimpleSpanProcessor,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base'
import { pino } from 'pino'
import { Counter, Gauge, Histogram } from 'prom-client'
import { serve } from 'taskspan/server'
import { type TelemetryOptions, telemetry } from 'taskspan/telemetry'
import { FAULTY, FAULTY_ON_FAILURE, FAULTY_SENDERS } from '../../conformance/faulty.ts'
import type { Bench, ContenderName } from '../fault.ts'

const boom = (): never => {
  throw new Error('telemetry broke')
}

export interface Part {
  readonly title: string
  /** Handed to contenders that have such an option. */
  readonly options?: TelemetryOptions
  /** Puts the fault in place before the contender starts. */
  readonly arrange?: (bench: Bench) => unknown
  /** Puts it in place once the contender has started. */
  readonly sabotage?: (bench: Bench) => unknown
  /** Default: everybody, but for options only those who know them. */
  readonly contenders?: readonly ContenderName[]
  /** Whether a scrape may be without the tasks: what it reads is what is broken. */
  readonly blind?: true
  /** Where no other place has it. */
  readonly place?: Bench['place']
}

/** Those who take such options; the careless one has most of them. */
const WITH_OPTIONS: readonly ContenderName[] = ['taskspan', 'careless']

const KNOWN: readonly Part[] = [...FAULTY, ...FAULTY_ON_FAILURE].map(({ title, options, arrange }) => ({
  title,
  ...(options && { options, contenders: WITH_OPTIONS }),
  ...(arrange && { arrange }),
}))

const provide = (options: ConstructorParameters<typeof BasicTracerProvider>[0]) => (): void => {
  trace.disable()
  trace.setGlobalTracerProvider(new BasicTracerProvider(options))
}

const exporter = (broken: Partial<SpanExporter>): SpanExporter => ({
  export: (_, done) => done({ code: 0 }),
  shutdown: async () => {},
  ...broken,
})

const SDK: readonly Part[] = [
  {
    title: 'an exporter that throws, span by span',
    arrange: provide({ spanProcessors: [new SimpleSpanProcessor(exporter({ export: boom }))] }),
  },
  {
    title: 'an exporter that throws, in batches',
    arrange: provide({
      spanProcessors: [new BatchSpanProcessor(exporter({ export: boom }), { scheduledDelayMillis: 1 })],
    }),
  },
  {
    title: 'an exporter that calls back with an error',
    arrange: provide({
      spanProcessors: [
        new SimpleSpanProcessor(exporter({ export: (_, done) => done({ code: 1, error: new Error() }) })),
      ],
    }),
  },
  {
    title: 'the id generator, for traces',
    arrange: provide({ idGenerator: { generateTraceId: boom, generateSpanId: () => 'b7ad6b7169203331' } }),
  },
  {
    title: 'the id generator, for spans',
    arrange: provide({
      idGenerator: { generateTraceId: () => '0af7651916cd43dd8448eb211c80319c', generateSpanId: boom },
    }),
  },
]

/** A tracer of which one span method throws, and everything else works. */
const spanWithout = (method: keyof Span) => (): void => {
  const real = new BasicTracerProvider().getTracer('real')
  const broken = (span: Span): Span =>
    new Proxy(span, {
      get(target, key) {
        if (key === method) return boom
        const value: unknown = Reflect.get(target, key)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  const tracer = { startSpan: (...args) => broken(real.startSpan(...args)), startActiveSpan: boom } as Tracer
  trace.disable()
  trace.setGlobalTracerProvider({ getTracer: () => tracer })
}

const SPAN_METHODS = [
  ...['spanContext', 'setAttribute', 'setAttributes', 'addEvent', 'addLink', 'addLinks', 'setStatus', 'updateName'],
  ...['end', 'isRecording', 'recordException'],
] as (keyof Span)[]

const SPANS: readonly Part[] = SPAN_METHODS.map((method) => ({
  title: `a span's ${method}()`,
  arrange: spanWithout(method),
}))

/** OpenTelemetry's own metrics, which some write. */
const METER: Part = {
  title: "every method of OpenTelemetry's metrics",
  arrange() {
    otelMetrics.disable()
    const instrument = { add: boom, record: boom }
    const meter = new Proxy({}, { get: (_, key) => (key === 'then' ? undefined : () => instrument) })
    otelMetrics.setGlobalMeterProvider({ getMeter: () => meter as never })
  },
}

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
