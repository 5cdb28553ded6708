// Telemetry that throws wherever it can: what stands below and beside ours in somebody's process.
import {
  type Context,
  type ContextManager,
  context,
  DiagLogLevel,
  diag,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type TextMapPropagator,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider, type Sampler, type SpanProcessor } from '@opentelemetry/sdk-trace-base'
import { pino } from 'pino'
import type { TelemetryOptions } from 'taskspan/telemetry'

const boom = (): never => {
  throw new Error('telemetry broke')
}

export interface Faulty {
  readonly title: string
  /** Puts the fault in place for this test: globally, or by options. */
  readonly options?: TelemetryOptions
  readonly arrange?: () => void
  /** Where it may go unnoticed, since nobody of ours has called it. */
  readonly silent?: true
}

const provider = (tracer: Partial<Tracer>) => (): void => {
  trace.disable()
  trace.setGlobalTracerProvider({ getTracer: () => tracer as Tracer })
}

const sdk = (options: { sampler?: Sampler; processor?: Partial<SpanProcessor> }) => (): void => {
  const processor = {
    onStart() {},
    onEnd() {},
    forceFlush: async () => {},
    shutdown: async () => {},
    ...options.processor,
  }
  trace.disable()
  trace.setGlobalTracerProvider(
    new BasicTracerProvider({ spanProcessors: [processor], ...(options.sampler && { sampler: options.sampler }) }),
  )
}

const propagator = (broken: Partial<TextMapPropagator>) => (): void => {
  propagation.disable()
  propagation.setGlobalPropagator({
    inject() {},
    extract: (active) => active,
    fields: () => ['traceparent'],
    ...broken,
  })
}

const manager = (broken: (real: ContextManager) => Partial<ContextManager>) => (): void => {
  const real = new AsyncLocalStorageContextManager().enable()
  const changed = broken(real)
  context.disable()
  context.setGlobalContextManager({
    active: changed.active ?? (() => real.active()),
    with: changed.with ?? ((active, fn, self, ...args) => real.with(active, fn, self, ...args)),
    bind: (active, target) => real.bind(active, target),
    enable() {
      return this
    },
    disable() {
      real.disable()
      return this
    },
  })
}

/** A span of which everything throws but what hides it in a promise chain. */
const hostileSpan = new Proxy({} as Span, {
  get: (_, key) => (key === 'then' ? undefined : boom),
})

const hostileLogger = {
  child: () => hostileLogger,
  isLevelEnabled: () => true,
  ...{ trace: boom, debug: boom, info: boom, warn: boom, error: boom, fatal: boom },
}

const refuses = { write: boom }

export const FAULTY: readonly Faulty[] = [
  { title: 'the tracer provider', arrange: provider(new Proxy({}, { get: boom })) },
  { title: 'starting a span', arrange: provider({ startSpan: boom, startActiveSpan: boom }) },
  { title: 'everything that a span has', arrange: provider({ startSpan: () => hostileSpan }) },
  { title: 'the sampler', arrange: sdk({ sampler: { shouldSample: boom } }) },
  { title: "a span processor's start", arrange: sdk({ processor: { onStart: boom } }) },
  { title: "a span processor's end", arrange: sdk({ processor: { onEnd: boom } }) },
  { title: 'reading a carrier', arrange: propagator({ extract: boom }) },
  { title: 'a propagator that gives no context', arrange: propagator({ extract: () => undefined as never }) },
  { title: 'the context manager, before it runs anything', arrange: manager(() => ({ with: boom })) },
  {
    title: 'the context manager, after it ran everything',
    arrange: manager((real) => ({
      with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
        active: Context,
        fn: F,
        self?: ThisParameterType<F>,
        ...args: A
      ) {
        real.with(active, fn, self, ...args)
        return boom()
      },
    })),
  },
  { title: 'asking for the active context', arrange: manager(() => ({ active: boom })) },
  {
    title: 'a context manager that runs nothing',
    arrange: manager(() => ({ with: (() => undefined) as never })),
    silent: true,
  },
  { title: 'a context manager that forgets', arrange: manager(() => ({ active: () => ROOT_CONTEXT })), silent: true },
  { title: 'the log destination', options: { logger: pino({ level: 'debug' }, refuses) } },
  { title: 'the logger', options: { logger: hostileLogger as never } },
  { title: "the user's attributes", options: { attributes: boom } },
  { title: "the user's choice of a parent", options: { parent: boom } },
  { title: "the user's correlation", options: { correlate: boom } },
  { title: "the user's labels", options: { labels: { tier: boom } } },
  { title: 'a label that cannot be a string', options: { labels: { tier: () => ({ toString: boom }) as never } } },
  {
    title: 'the diag logger',
    arrange: () => {
      diag.disable()
      diag.setLogger({ verbose: boom, debug: boom, info: boom, warn: boom, error: boom }, DiagLogLevel.WARN)
      provider({ startSpan: boom })()
    },
  },
]

/** Those that are only called when a task fails. */
export const FAULTY_ON_FAILURE: readonly Faulty[] = [
  { title: 'onFailure', options: { onFailure: boom } },
  { title: 'an async onFailure', options: { onFailure: async () => boom() } },
]

/** Those that are only called when something is sent. */
export const FAULTY_SENDERS: readonly Faulty[] = [
  { title: 'writing a carrier', arrange: propagator({ inject: boom }) },
  {
    title: 'a carrier of 10,000 characters',
    arrange: propagator({ inject: (_, to, { set }) => set(to, 'a', 'x'.repeat(1e4)) }),
  },
  {
    title: 'a carrier that is no text',
    arrange: propagator({ inject: (_, to, { set }) => set(to, 'a', 7n as never) }),
  },
]
