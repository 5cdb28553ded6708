// BullMQ: a processor as a task, a worker's silent events, and senders that carry the trace.
import type { Context } from '@opentelemetry/api'
import type { BulkJobOptions, FlowJob, Job, Processor, Telemetry, Worker } from 'bullmq'
import { compose } from '../kernel/compose.ts'
import { consumer } from '../kernel/consumer.ts'
import { checkOptions, show, TaskspanError } from '../kernel/errors.ts'
import { type Adapter, currentTask, type Middleware } from '../kernel/task.ts'
import { tracing } from '../middleware/tracing.ts'
import { type InjectBulkOptions, sendBulk, sendFlow } from './bullmq/inject.ts'
import { type Observation, observe, type Ran } from './bullmq/observe.ts'
import { bullmqTelemetry } from './bullmq/propagation.ts'
import { bullmqAdapter, judge } from './bullmq/read.ts'

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
   *
   * @returns a handle; closing it removes the listeners
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
  const ran: Ran = new WeakMap()

  const instrument = <P extends Processor>(processor: P, options: InstrumentOptions = {}): P => {
    if (typeof processor !== 'function') throw notAFunction(processor)
    checkOptions('bullmq: instrument', options, { name: 'string' })
    const consume = consumer(remembering(ran, options.name), onion)
    function instrumented(this: unknown, ...args: Parameters<P>): Promise<unknown> {
      const [job, , signal] = args as unknown as [Job, string | undefined, AbortSignal | undefined]
      const handler = (): Promise<unknown> => {
        const task = currentTask()
        if (task !== undefined) ran.set(job, task)
        return Reflect.apply(processor, this, args) as Promise<unknown>
      }
      return consume(job, handler, signal)
    }
    Object.defineProperties(instrumented, {
      length: { value: processor.length, configurable: true },
      name: { value: processor.name, configurable: true },
    })
    return instrumented as unknown as P
  }
  return Object.assign(instrument, { observe: (worker: Worker) => observe(worker, onion, ran) }) as BullmqInstrument
}

// A job whose middleware threw before the handler ran has been seen, if anyone asked what the throw means.
function remembering(ran: Ran, name: string | undefined): Adapter<Job> {
  const { read } = bullmqAdapter
  return {
    ...bullmqAdapter,
    read: name === undefined ? read : (job) => ({ ...read(job), name }),
    judge(error, job, task) {
      ran.set(job, task)
      return judge(error, job)
    },
  }
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
