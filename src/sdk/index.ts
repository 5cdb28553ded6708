// start(): an OpenTelemetry SDK for one process, from the standard environment variables, and its bounded end.
import { context, DiagConsoleLogger, DiagLogLevel, diag, propagation, trace } from '@opentelemetry/api'
import { checkOptions } from '../kernel/errors.ts'
import { setIdentity } from '../kernel/identity.ts'
import { registeredProvider } from '../kernel/tracer.ts'
import { env, isTrue } from './environment.ts'
import type { Destination, DestinationStatus } from './exporters.ts'
import { identify } from './identify.ts'
import { Problems } from './problems.ts'
import { register } from './register.ts'

export type { DestinationStatus }

export interface StartOptions {
  /** Name of the system. Default: `OTEL_SERVICE_NAME`. */
  readonly app?: string | undefined
  /** What this process does in it: `render`; by custom `scheduler` and `api`. `service.name` is `<app>-<worker>`. */
  readonly worker?: string | undefined
  /** `service.version`. Default: the one in `OTEL_RESOURCE_ATTRIBUTES`. */
  readonly version?: string | undefined
  /** `deployment.environment.name`. Default: the one in `OTEL_RESOURCE_ATTRIBUTES`, or `NODE_ENV`. */
  readonly environment?: string | undefined
}

export interface SdkStatus {
  /**
   * `running`; `disabled` by `OTEL_SDK_DISABLED`; `foreign`: an SDK was registered before, and was left alone;
   * `failed`: it could not be set up, see `problems`; `closed`.
   */
  readonly state: 'running' | 'disabled' | 'foreign' | 'failed' | 'closed'
  /** `service.name`. */
  readonly service: string
  /** Where spans go, how many arrived, how many did not. */
  readonly destinations: readonly DestinationStatus[]
  /** What went wrong, in words; each was also said once as a process warning. */
  readonly problems: readonly string[]
}

export interface CloseOptions {
  /** How long the last spans may take to be delivered, in ms. Default 5,000. */
  readonly graceMs?: number | undefined
}

/** What `start()` gives. None of its promises ever rejects. */
export interface Sdk extends AsyncDisposable {
  /** Resolves when everything that it loads is loaded: for tracing alone that is at once. */
  ready(): Promise<void>
  status(): SdkStatus
  /** Sends what is buffered. Resolves with whether all of it was delivered, after the exporter's own time-out at most. */
  flush(): Promise<boolean>
  /** Sends what is buffered, for at most `graceMs`, and unregisters what it registered. */
  close(options?: CloseOptions): Promise<void>
}

/**
 * Starts tracing for this process, at once: a tracer provider with a batch processor, OTLP over HTTP when an endpoint is
 * set, else waterfalls on stderr; async context; the propagators for W3C trace context and baggage. The standard
 * `OTEL_*` variables hold, but `service.name` is always `<app>-<worker>`. With an SDK already registered it adds nothing
 * and closes nothing. A missing package is named with its install command, and never fatal.
 *
 * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`
 * @see https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 * @example
 * const sdk = start({ app: 'shop', worker: 'render' })
 * // … and when the worker has drained:
 * await sdk.close({ graceMs: 2_000 })
 */
export function start(options: StartOptions = {}): Sdk {
  checkOptions('start', options, { app: name, worker: name, version: name, environment: name })
  const who = identify(options)
  setIdentity(who.identity)
  const problems = new Problems()
  if (isTrue('OTEL_SDK_DISABLED')) return handle('disabled', who.identity.service, problems)
  if (registeredProvider() !== undefined) return handle('foreign', who.identity.service, problems)

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
    return handle('running', who.identity.service, problems, { provider, destinations, unregister })
  } catch (error) {
    silence()
    problems.add('start', `tracing is off: ${error instanceof Error ? error.message : String(error)}`, error)
    return handle('failed', who.identity.service, problems)
  }
}

interface Running {
  readonly provider: { forceFlush(): Promise<void>; shutdown(): Promise<void> }
  readonly destinations: readonly Destination[]
  readonly unregister: () => void
}

function handle(state: SdkStatus['state'], service: string, problems: Problems, running?: Running): Sdk {
  let closing: Promise<void> | undefined
  let closed = false

  async function flush(): Promise<boolean> {
    if (running === undefined) return true
    try {
      await running.provider.forceFlush()
      const delivered = await Promise.all(running.destinations.map((destination) => destination.settled()))
      return delivered.every(Boolean)
    } catch {
      return false // counted and said where it happened
    }
  }

  async function shutDown(graceMs: number): Promise<void> {
    if (running === undefined) return
    const done = await within(graceMs, () => running.provider.shutdown())
    if (!done) {
      const targets = running.destinations.map((destination) => destination.status().target).join(', ')
      problems.add('close', `not every span reached ${targets} within ${graceMs} ms; the rest is lost`)
    }
    // Lets go of sockets and timers, so that a dead backend does not keep the process alive.
    for (const destination of running.destinations) destination.release()
    running.unregister()
    closed = true
  }

  const close = ({ graceMs = 5_000 }: CloseOptions = {}): Promise<void> => {
    closing ??= shutDown(Number.isFinite(graceMs) && graceMs >= 0 ? graceMs : 5_000)
    return closing
  }
  return {
    ready: async () => {},
    status: () => ({
      state: closed ? 'closed' : state,
      service,
      destinations: running?.destinations.map((destination) => destination.status()) ?? [],
      problems: [...problems.all],
    }),
    flush,
    close,
    [Symbol.asyncDispose]: () => close(),
  }
}

/** Whether it ended in time, well or badly. */
async function within(ms: number, run: () => Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false)
  })
  const ended = Promise.resolve()
    .then(run)
    .then(
      () => true,
      () => true, // what failed was counted and said by its destination
    )
  const inTime = await Promise.race([ended, late])
  clearTimeout(timer)
  return inTime
}

// OTEL_LOG_LEVEL makes the SDK's own voice heard, and only then: diag has one logger, which may be the user's.
function speak(): () => void {
  const level = DiagLogLevel[(env('OTEL_LOG_LEVEL') ?? '').toUpperCase() as keyof typeof DiagLogLevel]
  if (level === undefined) return () => {}
  diag.setLogger(new DiagConsoleLogger(), { logLevel: level, suppressOverrideMessage: true })
  return () => diag.disable()
}

const name = (value: unknown): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? undefined : 'must be a string that is not empty'
