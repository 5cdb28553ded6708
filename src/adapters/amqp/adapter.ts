// The adapter of one AMQP consumer: how its deliveries are read, judged and settled, from options checked once.
import type { ConsumeMessage } from 'amqplib'
import { checkOptions, having, refuse, TaskspanError } from '../../kernel/errors.ts'
import type { Adapter } from '../../kernel/task.ts'
import { reader } from './read.ts'
import { type RequeuePolicy, type SettleOptions, settling } from './settle.ts'

/** What `consume()` and `wrap()` share. */
export interface TaskOptions {
  /** Names every task of this consumer. Default: what the message says, else the queue. */
  readonly name?: string | undefined
  /**
   * What becomes of a message whose handler threw: not requeued unless this says so. `once` requeues what was not
   * redelivered yet; a function is asked once per failure, and never for `throw reject(…)`.
   */
  readonly requeue?: RequeuePolicy | undefined
  /** `manual` leaves every ack and nack to the handler; what it throws then goes where it goes without us. */
  readonly settle?: 'auto' | 'manual' | undefined
  /** Nothing is settled: the broker forgets a message when it delivers it. */
  readonly noAck?: boolean | undefined
}

export const TASK_OPTIONS = {
  name: text,
  requeue: (value: unknown) =>
    value === 'once' || typeof value === 'function' ? undefined : "must be 'once' or a function",
  settle: (value: unknown) => (value === 'auto' || value === 'manual' ? undefined : "must be 'auto' or 'manual'"),
  noAck: 'boolean',
} as const

/** A check for options: a text with something in it. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? undefined : 'must be a text'
}

/** What settles: an option, or the channel that is consumed from. */
export const settlingChannel = having('ack', 'nack')

/** Checks what `consume()` and `wrap()` are given. A handler that cannot be called fails at each message, which would be lost. */
export function checkTask(
  where: string,
  handler: unknown,
  options: TaskOptions,
  checks: Parameters<typeof checkOptions>[2],
): void {
  refuse(`${where}: the handler`, typeof handler === 'function' ? undefined : 'must be a function', handler)
  checkOptions(where, options, checks)
}

export function checkRequeue(where: string, options: TaskOptions): void {
  if (options.requeue === undefined || settles(options)) return
  const why = options.noAck ? 'noAck' : "settle: 'manual'"
  throw new TaskspanError('INVALID_OPTION', `${where}: 'requeue' has no say with ${why}.`)
}

export function settles({ settle, noAck }: TaskOptions): boolean {
  return settle !== 'manual' && noAck !== true
}

/** Without a settlement the handler's own error is rethrown, as `consumer()` does for every adapter that does not settle. */
export function adapter(
  queue: string,
  options: TaskOptions,
  settlement: Omit<SettleOptions, 'requeue'> | undefined,
): Adapter<ConsumeMessage> {
  const read = reader({ queue, name: options.name })
  if (settlement === undefined) return { system: 'rabbitmq', read }
  return { system: 'rabbitmq', read, ...settling({ ...settlement, requeue: options.requeue }) }
}
