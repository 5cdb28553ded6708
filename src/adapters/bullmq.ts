// BullMQ: a processor as a task, a worker's silent events, and senders that carry the trace.
import type { Context } from '@opentelemetry/api'
import type { BulkJobOptions, FlowJob, Job, Processor, Telemetry, Worker } from 'bullmq'
import { compose } from '../kernel/compose.ts'
import { consumer } from '../kernel/consumer.ts'
import { checkOptions, show, TaskspanError } from '../kernel/errors.ts'
import { currentTask } from '../kernel/scope.ts'
import type { Middleware } from '../kernel/task.ts'
import { tracing } from '../middleware/tracing.ts'
import { type InjectBulkOptions, sendBulk, sendFlow } from './bullmq/inject.ts'
import { inside } from './bullmq/inside.ts'
import { type Observation, observe } from './bullmq/observe.ts'
import { bullmqTelemetry } from './bullmq/propagation.ts'
import { Ran, remembering } from './bullmq/ran.ts'

export { type BullmqCheckpoint, type CheckpointOptions, checkpoint } from './bullmq/checkpoint.ts'
export { type InjectBulkOptions, type InjectOptions, inject } from './bullmq/inject.ts'
export type { Observation } from './bullmq/observe.ts'

export interface InstrumentOptions {
  /** Names every task of this processor. Default: the job's name, and the queue's for `__default__`. */
  readonly name?: string | undefined
}

/** What `bullmq()` gives. */
export interface BullmqInstrument {
  /**
   * Wraps a processor. Types, `name` and `length` are kept: BullMQ decides by the length whether to pass a signal.
   *
   * @throws {TaskspanError} `PROCESSOR_IS_FILE` for a file or URL; `INVALID_OPTION` for anything but a function;
   * `UNKNOWN_OPTION`
   */
  // biome-ignore lint/suspicious/noExplicitAny: BullMQ's own default for a processor whose types the user has not given
  <P extends Processor<any, any, any, any> = Processor>(processor: P, options?: InstrumentOptions): P
  /**
   * Watches a worker for what no processor sees: jobs failed without it, lost locks, lost attempts, worker errors.
   * Of a worker whose processor is a file it also runs each job through the middlewares, in this process, so that a child
   * that is killed is seen; what happens inside, `sandboxed()` of `taskspan/processes` sends here.
   *
   * @returns a handle; closing it removes the listeners
   * @throws {TaskspanError} `INVALID_OPTION` for what is no worker
   */
  // biome-ignore lint/suspicious/noExplicitAny: a worker of any data, result and name
  observe(worker: Worker<any, any, any, any, any, any>): Observation
}

/**
 * Instruments BullMQ workers: `instrument(processor)` runs each job through the middlewares.
 *
 * @param middleware usually one `telemetry()`; yours stand inside or outside of it by their order
 * @example
 * const instrument = bullmq(telemetry())
 * const worker = new Worker('render', instrument(async (job) => render(job.data)), { connection })
 * instrument.observe(worker)
 */
export function bullmq(...middleware: Middleware[]): BullmqInstrument {
  const onion = compose(...middleware)
  const ran = new Ran()

  const instrument = <P extends Processor>(processor: P, options: InstrumentOptions = {}): P => {
    if (typeof processor !== 'function') throw notAFunction(processor)
    checkOptions('bullmq: instrument', options, { name: 'string' })
    const adapter = remembering(ran, options.name)
    const consume = consumer(adapter, onion)
    const insideParent = inside(adapter, onion)
    function instrumented(this: unknown, ...args: Parameters<P>): Promise<unknown> {
      const [job, , signal] = args as unknown as [Job, string | undefined, AbortSignal | undefined]
      const handler = (): Promise<unknown> => {
        const task = ran.isAsked ? currentTask() : undefined
        if (task !== undefined) ran.set(job, task)
        return Reflect.apply(processor, this, args) as Promise<unknown>
      }
      return (insideParent(job) ?? consume)(job, handler, signal)
    }
    Object.defineProperties(instrumented, {
      length: { value: processor.length, configurable: true },
      name: { value: processor.name, configurable: true },
    })
    return instrumented as unknown as P
  }
  return Object.assign(instrument, { observe: (worker: Worker) => observe(worker, onion, ran) }) as BullmqInstrument
}

// The one thing an adapter takes from a middleware: senders in a process without telemetry() still want their span.
let send: Middleware | undefined
function defaultSend(): Middleware {
  send ??= tracing()
  return send
}

function notAFunction(processor: unknown): TaskspanError {
  if (typeof processor === 'string' || processor instanceof URL) {
    return new TaskspanError('PROCESSOR_IS_FILE', `bullmq: the processor is the file ${show(processor)}.`)
  }
  return new TaskspanError('INVALID_OPTION', `bullmq: a processor must be a function, got ${show(processor)}.`)
}

/**
 * BullMQ's `telemetry` option: every add, bulk, flow node and scheduler gets a `send` span and carries it. Queues, flow
 * producers and workers may share one. Whatever in the telemetry throws, `add()` resolves once.
 *
 * @param middleware what stands around a send; default: `tracing()`. With `telemetry()` sends are counted too
 * @example
 * const queue = new Queue('render', { connection, telemetry: propagation() })
 */
export function propagation(...middleware: Middleware[]): Telemetry<Context> {
  return bullmqTelemetry(middleware.length === 0 ? defaultSend() : compose(...middleware))
}

/**
 * Bulk jobs that each carry a `send` span of their own.
 *
 * @param jobs copied, never written to
 * @example
 * await queue.addBulk(injectBulk(jobs, { queue: 'render' }))
 */
export function injectBulk<J extends { name: string; opts?: BulkJobOptions | undefined }>(
  jobs: readonly J[],
  extra: InjectBulkOptions = {},
): J[] {
  return sendBulk(defaultSend(), jobs, extra)
}

/**
 * A flow whose every node carries a `send` span, also nodes without `opts` (which `propagation()` cannot reach).
 *
 * @param flow copied, never written to
 * @example
 * await flowProducer.add(injectFlow({ name: 'export', queueName: 'exports', children: [ … ] }))
 */
export function injectFlow<F extends FlowJob>(flow: F): F {
  return sendFlow(defaultSend(), flow)
}
