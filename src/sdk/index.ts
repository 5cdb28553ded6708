// start(): an OpenTelemetry SDK for one process, from the standard environment variables, and its bounded end.
import { checkOptions } from '../kernel/errors.ts'
import { begin, join } from './begin.ts'
import type { Sdk, StartOptions } from './face.ts'
import { handle } from './handle.ts'
import { START_OPTIONS } from './options.ts'
import { preloaded } from './preloaded.ts'

export type { Check, Checks } from '../kernel/checks.ts'
export type {
  Closable,
  CloseOptions,
  DestinationStatus,
  Sdk,
  SdkStatus,
  SignalOptions,
  StartOptions,
} from './face.ts'

/**
 * Starts telemetry for this process, at once: a tracer provider with a batch processor, OTLP when an endpoint is set, else
 * waterfalls on stderr; async context; the propagators for W3C trace context and baggage; spans of HTTP, SQL and GENAI
 * calls where the instrumentations are installed; log lines over OTLP when asked. The standard `OTEL_*` variables hold,
 * but `service.name` is always `<app>-<worker>`. With an SDK already registered it adds nothing and closes nothing; what
 * `node --import taskspan/register` has begun it takes over. A missing package is named with its install command, and
 * never fatal.
 *
 * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`
 * @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 * @example
 * const sdk = start({ app: 'shop', worker: 'render', checks: { redis: () => redis.ping() } })
 * await sdk.ready()
 * // … then the worker, and:
 * sdk.closeOnSignal({ workers: [worker], graceMs: 20_000 })
 */
export function start(options: StartOptions = {}): Sdk {
  checkOptions('start', options, START_OPTIONS)
  const before = preloaded()
  const { state, who, problems, running } = before === undefined ? begin(options) : join(before, options)
  const { checks = {}, checkTimeoutMs = 2_000, onCheckFailure = 'reject' } = options
  const readiness = { checks, checkTimeoutMs, onCheckFailure }
  return handle({ state, service: who.identity.service, problems, readiness, running })
}
