// start(): an OpenTelemetry SDK for one process, from the standard environment variables, and its bounded end.
import { context, DiagConsoleLogger, DiagLogLevel, diag, propagation, trace } from '@opentelemetry/api'
import { checkOptions } from '../kernel/errors.ts'
import { setIdentity } from '../kernel/identity.ts'
import { registeredProvider } from '../kernel/tracer.ts'
import { env, isTrue } from './environment.ts'
import type { Sdk, SdkStatus, StartOptions } from './face.ts'
import { handle, type Running } from './handle.ts'
import { identify } from './identify.ts'
import { START_OPTIONS } from './options.ts'
import { Problems } from './problems.ts'
import { register } from './register.ts'

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
 * Starts tracing for this process, at once: a tracer provider with a batch processor, OTLP over HTTP when an endpoint is
 * set, else waterfalls on stderr; async context; the propagators for W3C trace context and baggage. The standard
 * `OTEL_*` variables hold, but `service.name` is always `<app>-<worker>`. With an SDK already registered it adds nothing
 * and closes nothing. A missing package is named with its install command, and never fatal.
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
  const who = identify(options)
  setIdentity(who.identity)
  const problems = new Problems()
  const { checks = {}, checkTimeoutMs = 2_000, onCheckFailure = 'reject' } = options
  const sdk = (state: SdkStatus['state'], running?: Running): Sdk => {
    const readiness = { checks, checkTimeoutMs, onCheckFailure }
    return handle({ state, service: who.identity.service, problems, readiness, running })
  }
  if (isTrue('OTEL_SDK_DISABLED')) return sdk('disabled')
  if (registeredProvider() !== undefined) return sdk('foreign')

  const silence = speak()
  try {
    const { provider, destinations } = register(who.attributes, problems)
    const unregister = (): void => {
      silence()
      if (registeredProvider() !== provider) return
      trace.disable()
      context.disable()
      propagation.disable()
    }
    return sdk('running', { provider, destinations, unregister })
  } catch (error) {
    silence()
    problems.add('start', `tracing is off: ${error instanceof Error ? error.message : String(error)}`, error)
    return sdk('failed')
  }
}

// OTEL_LOG_LEVEL makes the SDK's own voice heard, and only then: diag has one logger, which may be the user's.
function speak(): () => void {
  const level = DiagLogLevel[(env('OTEL_LOG_LEVEL') ?? '').toUpperCase() as keyof typeof DiagLogLevel]
  if (level === undefined) return () => {}
  diag.setLogger(new DiagConsoleLogger(), { logLevel: level, suppressOverrideMessage: true })
  return () => diag.disable()
}
