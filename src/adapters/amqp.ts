// RabbitMQ through amqplib: deliveries as tasks, settled by how they end, and sends that carry the trace.
import type { ConsumeMessage } from 'amqplib'
import { compose, notify } from '../kernel/compose.ts'
import { checkOptions, having, refuse } from '../kernel/errors.ts'
import type { Middleware } from '../kernel/task.ts'
import { text } from './amqp/adapter.ts'
import { type AmqpConsumer, type ConsumeOptions, type ConsumingChannel, startConsumer } from './amqp/consume.ts'
import { Ears, type Report } from './amqp/events.ts'
import { type AmqpObservation, Observation } from './amqp/observe.ts'
import { queueLabel } from './amqp/read.ts'
import { type Sender, sender } from './amqp/send.ts'
import { type WrapOptions, wrapHandler } from './amqp/wrap.ts'

export { type InjectOptions, inject } from './amqp/carry.ts'
export type { AmqpConsumer, CloseOptions, ConsumeOptions, ConsumingChannel } from './amqp/consume.ts'
export type { AmqpEvent } from './amqp/events.ts'
export type { AmqpNotice, AmqpObservation } from './amqp/observe.ts'
export type { Publishes, SendsToQueue } from './amqp/send.ts'
export type { RequeuePolicy, SettlingChannel } from './amqp/settle.ts'
export { type TaskiqLabel, type TaskiqMessage, type TaskiqOptions, taskiq } from './amqp/taskiq.ts'
export type { WrapOptions } from './amqp/wrap.ts'

/** What `amqp()` gives. Its functions may be taken out of it. */
export interface Amqp extends Sender {
  /**
   * Consumes a queue: each delivery is a task, acked when the handler returns; when it throws, nacked without requeue,
   * which dead-letters it, or drops it where the queue has no dead-letter exchange.
   *
   * @param options amqplib's own for `channel.consume`, and `prefetch`, `requeue`, `settle`, `name`
   * @returns a handle; its `close()` cancels and drains
   * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`; and what the channel throws
   * @see https://www.rabbitmq.com/docs/confirms
   */
  consume(
    channel: ConsumingChannel,
    queue: string,
    handler: (message: ConsumeMessage) => unknown,
    options?: ConsumeOptions,
  ): Promise<AmqpConsumer>
  /**
   * Wraps a handler for those who call `channel.consume` themselves. With `channel` it is settled as in `consume()`;
   * without it the handler acks and nacks as before. The broker's `null` is passed on.
   *
   * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`
   */
  wrap<M extends ConsumeMessage | null, R>(
    handler: (message: M) => R,
    options: WrapOptions,
  ): (message: M) => Promise<Awaited<R> | undefined>
  /**
   * Counts and logs what happens to a channel on which nothing of ours consumes: closed, blocked, messages returned.
   *
   * @param options `queue` is the label of its events. Default `(publisher)`
   * @returns a handle; closing it removes our listeners
   * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`
   */
  observe(channel: object, options?: { readonly queue?: string | undefined }): AmqpObservation
}

/**
 * Instruments RabbitMQ consumers and publishers on amqplib's channels, with promises or callbacks.
 *
 * @param middleware usually one `telemetry()`; yours stand inside or outside of it by their order
 * @example
 * const { consume, publish } = amqp(telemetry())
 * await consume(channel, 'orders', async (message) => save(JSON.parse(message.content.toString())))
 * publish(channel, 'shop', 'orders', Buffer.from('{}'), { persistent: true })
 */
export function amqp(...middleware: Middleware[]): Amqp {
  const onion = compose(...middleware)
  const report: Report = (queue, event, error) =>
    notify(onion, { kind: 'broker', system: 'rabbitmq', queue, event, ...(error !== undefined && { error }) })
  const deadLettered = (queue: string): void => notify(onion, { kind: 'dead_lettered', queue })
  const ears = new Ears(report)
  const around = { middleware: onion, ears, report, deadLettered }
  return {
    ...sender(onion, (channel) => ears.hearReturns(channel)),
    consume: (channel, queue, handler, options = {}) => startConsumer(around, channel, queue, handler, options),
    wrap: (handler, options) => wrapHandler(around, handler, options),
    observe(channel, options = {}) {
      checkOptions('observe', options, { queue: text })
      refuse('observe: the channel', emitting(channel), channel)
      const { queue } = options
      return new Observation(ears, report, channel, queue === undefined ? PUBLISHER : queueLabel(queue))
    },
  }
}

const emitting = having('on', 'off')
const PUBLISHER = '(publisher)'
