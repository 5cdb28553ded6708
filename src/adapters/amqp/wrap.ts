// A handler wrapped for those who consume by themselves; the broker's `null` is counted and passed on.
import type { ConsumeMessage } from 'amqplib'
import { consumer } from '../../kernel/consumer.ts'
import { TaskspanError } from '../../kernel/errors.ts'
import {
  adapter,
  checkRequeue,
  checkTask,
  settles,
  settlingChannel,
  TASK_OPTIONS,
  type TaskOptions,
} from './adapter.ts'
import type { Around } from './consume.ts'
import { ownSettles } from './own-settles.ts'
import { queueLabel } from './read.ts'
import type { SettlingChannel } from './settle.ts'

export interface WrapOptions extends TaskOptions {
  /** The queue that is consumed; a delivery does not say it. */
  readonly queue: string
  /** What acks and nacks: the channel, or amqp-connection-manager's wrapper. Without it the handler settles. */
  readonly channel?: SettlingChannel | undefined
}

const WRAP_OPTIONS = {
  ...TASK_OPTIONS,
  queue: (value: unknown) => (typeof value === 'string' ? undefined : 'must be a text'),
  channel: settlingChannel,
} as const

export function wrapHandler<M extends ConsumeMessage | null, R>(
  around: Around,
  handler: (message: M) => R,
  options: WrapOptions,
): (message: M) => Promise<Awaited<R> | undefined> {
  checkTask('wrap', handler, options, WRAP_OPTIONS)
  const { channel } = options
  if (channel === undefined && options.settle === 'auto') {
    throw new TaskspanError('INVALID_OPTION', "wrap: settle: 'auto' needs the channel: pass it as 'channel'.")
  }
  const settled: TaskOptions = channel === undefined ? { ...options, settle: 'manual' } : options
  checkRequeue('wrap', settled)
  if (options.queue === undefined)
    throw new TaskspanError('INVALID_OPTION', "wrap: 'queue' must be a text, got undefined.")

  const queue = queueLabel(options.queue)
  const settler = channel !== undefined && settles(settled) ? { channel, own: ownSettles(channel) } : undefined
  const settlement = settler && {
    settler: () => settler,
    settleFailed: (error: unknown) => around.report(queue, 'settle_failed', error),
    deadLettered: () => around.deadLettered(queue),
  }
  const run = consumer(adapter(options.queue, settled, settlement), around.middleware)

  return (message) => {
    if (message === null) {
      around.report(queue, 'consumer_cancelled')
      return Promise.resolve(handler(message) as Awaited<R>)
    }
    settler?.own.delivered(message)
    return run<Awaited<R> | undefined>(message, () => handler(message) as Awaited<R>)
  }
}
