// Runs a recorded message through an adapter and the whole telemetry, and hands back everything that it left behind.
import { compose } from '../kernel/compose.ts'
import { consumer } from '../kernel/consumer.ts'
import { checkOptions, TaskspanError } from '../kernel/errors.ts'
import type { Adapter, Middleware } from '../kernel/task.ts'
import { logging } from '../middleware/logging.ts'
import { metrics as measured } from '../middleware/metrics.ts'
import { tracing } from '../middleware/tracing.ts'
import { type LogRecorder, recordLogs } from './logs.ts'
import { type MetricRecorder, recordMetrics } from './metrics.ts'
import { revive } from './revive.ts'
import { type RecordedSpan, recordSpans, registeredRecorder } from './spans.ts'

/** Where a replay's metrics and log lines go. */
export interface ReplayRecorders {
  readonly metrics: MetricRecorder
  readonly logs: LogRecorder
}

export interface ReplayOptions<Handler> {
  /**
   * What turns the message into a task: `bullmq`, an `Adapter`, or a function that takes the telemetry and gives what
   * wraps a handler: `(t) => (handler) => amqp(t).wrap(handler, { queue: 'orders' })`.
   */
  readonly through:
    | Adapter<never>
    | ((...middleware: Middleware[]) => (handler: Handler) => (...args: never[]) => unknown)
  /** Your own telemetry. Default: `tracing()`, `metrics()` and `logging()` as in `telemetry()`. */
  readonly telemetry?: ((recorders: ReplayRecorders) => Middleware) | undefined
}

export interface Replay<Result> extends ReplayRecorders {
  readonly threw: boolean
  /** What the handler returned. */
  readonly result: Result | undefined
  /** What the handler threw: the very object. */
  readonly error: unknown
  readonly spans: readonly RecordedSpan[]
}

/**
 * Runs one recorded message as if it came from the broker: for a failed job from production, or a fixture.
 *
 * @param message a BullMQ job as `JSON.stringify(job)` wrote it, or an AMQP message; bytes as Buffers, as
 *   `{ $base64: '…' }`, or as Buffer's own JSON
 * @throws {TaskspanError} `INVALID_MESSAGE`, `INVALID_OPTION`; `SDK_REGISTERED` beside an SDK that is no recorder
 * @example
 * const job = JSON.parse(await readFile('failed-job.json', 'utf8'))
 * const { error, spans } = await replay(job, async (job: Job<Clip>) => render(job.data), { through: bullmq })
 */
export async function replay<Handler extends (...args: never[]) => unknown>(
  message: unknown,
  handler: Handler,
  options: ReplayOptions<Handler>,
): Promise<Replay<Awaited<ReturnType<Handler>>>> {
  checkOptions('replay', options, { through: adapterOrFactory, telemetry: 'function' })
  if (options.through === undefined) throw new TaskspanError('INVALID_OPTION', "replay: 'through' is missing.")
  if (typeof message !== 'object' || message === null) {
    throw new TaskspanError('INVALID_MESSAGE', `replay: the message is ${message === null ? 'null' : typeof message}.`)
  }
  const recorders: ReplayRecorders = { metrics: recordMetrics(), logs: recordLogs() }
  const telemetry = options.telemetry?.(recorders) ?? preset(recorders)
  const observed = observe(handler)

  const shared = registeredRecorder()
  const recorder = shared ?? recordSpans()
  const before = recorder.spans.length
  try {
    await run(options.through, telemetry, observed, revive(message))
    const { threw, result, error } = observed.ending ?? { threw: false }
    return {
      ...recorders,
      threw,
      result: result as Awaited<ReturnType<Handler>> | undefined,
      error,
      spans: recorder.spans.slice(before),
    }
  } finally {
    if (shared === undefined) await recorder.close()
  }
}

function preset({ metrics, logs }: ReplayRecorders): Middleware {
  return compose(tracing(), measured({ registry: metrics.registry }), logging({ logger: logs.logger }))
}

interface Observed<Handler> {
  readonly call: Handler
  ending: { readonly threw: boolean; readonly result?: unknown; readonly error?: unknown } | undefined
}

// What the handler itself did: an adapter that settles keeps its error to itself.
function observe<Handler extends (...args: never[]) => unknown>(handler: Handler): Observed<Handler> {
  const call = async (...args: never[]): Promise<unknown> => {
    try {
      const result = await handler(...args)
      observed.ending = { threw: false, result }
      return result
    } catch (error) {
      observed.ending = { threw: true, error }
      throw error
    }
  }
  // BullMQ decides by the length whether to pass a signal.
  Object.defineProperty(call, 'length', { value: handler.length })
  const observed: Observed<Handler> = { call: call as unknown as Handler, ending: undefined }
  return observed
}

async function run<Handler extends (...args: never[]) => unknown>(
  through: ReplayOptions<Handler>['through'],
  telemetry: Middleware,
  observed: Observed<Handler>,
  message: object,
): Promise<void> {
  const wrapped =
    typeof through === 'function'
      ? through(telemetry)(observed.call)
      : (message: never) => consumer(through, telemetry)(message, () => observed.call(message))
  try {
    await wrapped(message as never)
  } catch (error) {
    // The handler's own error is a result here; one from around a handler that did not run is the caller's mistake.
    if (observed.ending === undefined) throw error
  }
}

function adapterOrFactory(value: unknown): string | undefined {
  const isAdapter = typeof (value as Adapter<never> | null)?.read === 'function'
  return typeof value === 'function' || isAdapter ? undefined : 'must be an adapter, or a function such as bullmq'
}
