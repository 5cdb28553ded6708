// What the broker is told at the end: ack, or nack with or without requeue. Never throws, never tells it twice.
import type { ConsumeMessage, Message } from 'amqplib'
import { fault, guard } from '../../kernel/faults.ts'
import { type Ending, rejectReason } from '../../kernel/outcome.ts'
import type { Adapter } from '../../kernel/task.ts'
import type { OwnSettles } from './own-settles.ts'

/** The settling half of a channel: amqplib's, or amqp-connection-manager's wrapper. */
export interface SettlingChannel {
  ack(message: Message, allUpTo?: boolean): unknown
  nack(message: Message, allUpTo?: boolean, requeue?: boolean): unknown
}

/**
 * What becomes of a message whose handler threw. Without a policy it is not requeued. `once` requeues what was not
 * redelivered yet. A function decides for each failure; it is asked once, and never for `throw reject(…)`.
 */
export type RequeuePolicy = 'once' | ((error: unknown, message: ConsumeMessage, attempt: number) => boolean)

/** An open channel, and what handlers settle on it by themselves. */
export interface Settler {
  readonly channel: SettlingChannel
  readonly own: OwnSettles
}

export interface SettleOptions {
  readonly requeue: RequeuePolicy | undefined
  /** Asked at the end of each message; undefined once the channel is gone. */
  readonly settler: () => Settler | undefined
  readonly settleFailed: (error: unknown) => void
  readonly deadLettered: () => void
  /** Called after each message, whatever became of it. */
  readonly settled?: (() => void) | undefined
}

/** What the log line of a failed message says became of it. */
export const FATE = {
  deadLettered: 'nacked without requeue: dead-lettered, or dropped where the queue has no dead-letter exchange',
  requeued: 'nacked and requeued',
  byHandler: 'settled by its handler',
} as const

export function settling(
  options: SettleOptions,
): Required<Pick<Adapter<ConsumeMessage>, 'judge' | 'isControlFlow' | 'settle'>> {
  const { requeue, settler, settleFailed, settled } = options
  return {
    judge(error, message, task) {
      if (settler()?.own.has(message)) {
        task.fate = FATE.byHandler
        return 'failure'
      }
      const again = rejectReason(error) === undefined && wantsRequeue(requeue, error, message, task.attempt)
      task.fate = again ? FATE.requeued : FATE.deadLettered
      return again ? 'retry' : 'failure'
    },
    // AMQP has none. Asking the judge would ask the user's policy, of errors that are not the message's.
    isControlFlow: () => false,
    settle(message, ending) {
      try {
        tell(options, message, ending)
      } catch (error) {
        settleFailed(error)
      } finally {
        settled?.()
      }
    },
  }
}

function tell({ settler, deadLettered }: SettleOptions, message: ConsumeMessage, { threw, outcome }: Ending): void {
  const open = settler()
  if (open === undefined)
    throw new Error('The channel closed before the message was settled; the broker redelivers it.')
  const { channel, own } = open
  if (own.has(message)) {
    fault('rabbitmq', 'settled_by_handler', new Error("Let only one settle: pass settle: 'manual', or leave it to us."))
    return
  }
  own.ours = message
  if (!threw) {
    channel.ack(message)
    return
  }
  const requeue = outcome === 'retry'
  channel.nack(message, false, requeue)
  if (!requeue) deadLettered()
}

// The policy is the user's: what it throws is counted, and the message goes the way it would go without a policy.
function wantsRequeue(
  policy: RequeuePolicy | undefined,
  error: unknown,
  message: ConsumeMessage,
  attempt: number,
): boolean {
  // Not by the attempt: a producer that writes `retries: 0` into each message would make it requeue for ever.
  if (policy === undefined || policy === 'once') return policy === 'once' && !message.fields.redelivered
  return guard('rabbitmq', 'requeue', () => answer(policy(error, message, attempt))) ?? false
}

// A promise is true to an `if`, and would requeue for ever.
function answer(value: unknown): boolean {
  if (typeof value === 'boolean') return value
  fault('rabbitmq', 'requeue')
  if (value instanceof Promise) value.catch(() => {})
  return false
}
