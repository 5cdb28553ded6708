// A consumer of ours on a channel of the user's: each delivery through the flow, and a handle that drains it.
import type { ConsumeMessage, Options, Replies } from 'amqplib'
import { type Consume, consumer } from '../../kernel/consumer.ts'
import { atLeast, checkOptions, having, refuse } from '../../kernel/errors.ts'
import { fault } from '../../kernel/faults.ts'
import type { Middleware } from '../../kernel/task.ts'
import { endsWithin } from '../../kernel/within.ts'
import {
  adapter,
  checkRequeue,
  checkTask,
  settles,
  settlingChannel,
  TASK_OPTIONS,
  type TaskOptions,
  text,
} from './adapter.ts'
import type { Ears, Report } from './events.ts'
import { type AmqpObservation, Observation } from './observe.ts'
import { ownSettles } from './own-settles.ts'
import { queueLabel } from './read.ts'
import type { Settler, SettlingChannel } from './settle.ts'

type Answer<T> = (error: Error, ok: T) => void

/** A channel to consume from: amqplib's, with promises or with callbacks, confirming or not. */
export interface ConsumingChannel extends SettlingChannel {
  consume(
    queue: string,
    onMessage: (message: ConsumeMessage | null) => void,
    options?: Options.Consume,
    callback?: Answer<Replies.Consume>,
  ): unknown
  cancel(consumerTag: string, callback?: Answer<Replies.Cancel>): unknown
  prefetch(count: number, global?: boolean, callback?: Answer<Replies.Empty>): unknown
}

export interface ConsumeOptions extends TaskOptions, Omit<Options.Consume, 'noAck'> {
  /** How many messages this consumer may hold unsettled. Default: what the channel was told before, else no limit. */
  readonly prefetch?: number | undefined
}

export interface CloseOptions {
  /** How long to wait for the handlers that run, in ms. Default: until the last has ended. */
  readonly graceMs?: number | undefined
}

/** A running consumer. */
export interface AmqpConsumer extends AmqpObservation {
  readonly consumerTag: string
  /** Handlers that run now. */
  readonly running: number
  /** Cancels the consumer, waits for the handlers that run, and removes our listeners. The channel stays open. */
  close(options?: CloseOptions): Promise<void>
}

export const CONSUME_OPTIONS = {
  ...TASK_OPTIONS,
  prefetch: (value: unknown) =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 65_535
      ? undefined
      : 'must be an integer from 0 to 65535',
  consumerTag: text,
  noLocal: 'boolean',
  exclusive: 'boolean',
  priority: 'number',
  arguments: 'object',
} as const

const consuming = having('consume', 'cancel')

/** What one `amqp()` gives to all that it makes. */
export interface Around {
  readonly middleware: Middleware
  readonly ears: Ears
  readonly report: Report
  readonly deadLettered: (queue: string) => void
}

export async function startConsumer(
  around: Around,
  channel: ConsumingChannel,
  queue: string,
  handler: (message: ConsumeMessage) => unknown,
  options: ConsumeOptions,
): Promise<AmqpConsumer> {
  checkTask('consume', handler, options, CONSUME_OPTIONS)
  checkRequeue('consume', options)
  refuse(
    'consume: the channel',
    consuming(channel) ?? (settles(options) ? settlingChannel(channel) : undefined),
    channel,
  )
  refuse('consume: the queue', typeof queue === 'string' ? undefined : 'must be a text', queue)
  const { name: _, requeue: __, settle: ___, prefetch, ...wanted } = options
  if (prefetch !== undefined) await ask<Replies.Empty>((answer) => channel.prefetch(prefetch, false, answer))
  const started = new Consumer(around, channel, queue, handler, options)
  try {
    const onMessage = (message: ConsumeMessage | null): unknown => started.deliver(message)
    const ok = await ask<Replies.Consume>((answer) =>
      channel.consume(queue, onMessage, wanted as Options.Consume, answer),
    )
    started.consumerTag = ok.consumerTag
  } catch (error) {
    started.end()
    throw error
  }
  return started
}

class Consumer extends Observation implements AmqpConsumer {
  consumerTag = ''
  running = 0
  // The only references to the channel, and dropped with it: whoever keeps this handle must not keep a dead channel.
  private channel: ConsumingChannel | undefined
  private settler: Settler | undefined
  private readonly run: Consume<ConsumeMessage>
  private readonly automatic: boolean
  private closing: Promise<void> | undefined
  private whenDrained: (() => void) | undefined

  constructor(
    around: Around,
    channel: ConsumingChannel,
    queue: string,
    private readonly handler: (message: ConsumeMessage) => unknown,
    options: TaskOptions,
  ) {
    super(around.ears, around.report, channel, queueLabel(queue))
    this.channel = channel
    this.automatic = settles(options)
    if (this.automatic) this.settler = { channel, own: ownSettles(channel) }
    const settlement = this.automatic && {
      settler: () => this.settler,
      settleFailed: (error: unknown) => this.happened('settle_failed', error),
      deadLettered: () => around.deadLettered(this.queue),
      settled: () => this.release(),
    }
    this.run = consumer(adapter(queue, options, settlement || undefined), around.middleware)
  }

  /** What amqplib calls. A rejection is the handler's own, where nothing of ours settles: it goes where it went before. */
  deliver(message: ConsumeMessage | null): Promise<unknown> | undefined {
    if (message === null) {
      this.happened('consumer_cancelled')
      return undefined
    }
    this.running++
    this.settler?.own.delivered(message)
    const running = this.run(message, () => this.handler(message))
    return this.automatic ? running : running.finally(() => this.release())
  }

  private release(): void {
    this.running--
    if (this.running === 0) this.whenDrained?.()
  }

  override async close(options: CloseOptions = {}): Promise<void> {
    checkOptions('close', options, { graceMs: atLeast(0) })
    const { graceMs } = options
    this.closing ??= this.cancelAndDrain()
    await (graceMs === undefined ? this.closing : endsWithin(graceMs, this.closing))
  }

  private async cancelAndDrain(): Promise<void> {
    const { channel, consumerTag } = this
    try {
      if (channel !== undefined) await ask<Replies.Cancel>((answer) => channel.cancel(consumerTag, answer))
    } catch (error) {
      if (this.channel !== undefined) fault('rabbitmq', 'cancel', error) // a closed channel has nothing to cancel
    }
    if (this.running > 0) {
      await new Promise<void>((resolve) => {
        this.whenDrained = resolve
      })
    }
    this.end()
  }

  override gone(): void {
    super.gone()
    this.settler?.own.release()
    this.settler = undefined
    this.channel = undefined
  }
}

// amqplib's promise channel answers with a promise, its callback channel calls back; each ignores the other's way.
function ask<T>(question: (answer: Answer<T>) => unknown): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const answered = question((error, ok) => (error ? reject(error) : resolve(ok)))
    if (answered instanceof Promise) answered.then(resolve, reject)
  })
}
