// The parts of OpenTelemetry below us, each broken by itself: the SDK's, each method of a span, its metrics.
import { metrics as otelMetrics, type Span, type Tracer, trace } from '@opentelemetry/api'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  SimpleSpanProcessor,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base'
import { boom, type Part } from './part.ts'

const provide = (options: ConstructorParameters<typeof BasicTracerProvider>[0]) => (): void => {
  trace.disable()
  trace.setGlobalTracerProvider(new BasicTracerProvider(options))
}

const exporter = (broken: Partial<SpanExporter>): SpanExporter => ({
  export: (_, done) => done({ code: 0 }),
  shutdown: async () => {},
  ...broken,
})

export const SDK: readonly Part[] = [
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

export const SPANS: readonly Part[] = SPAN_METHODS.map((method) => ({
  title: `a span's ${method}()`,
  arrange: spanWithout(method),
}))

/** OpenTelemetry's own metrics, which some write. */
export const METER: Part = {
  title: "every method of OpenTelemetry's metrics",
  arrange() {
    otelMetrics.disable()
    const instrument = { add: boom, record: boom }
    const meter = new Proxy({}, { get: (_, key) => (key === 'then' ? undefined : () => instrument) })
    otelMetrics.setGlobalMeterProvider({ getMeter: () => meter as never })
  },
}
