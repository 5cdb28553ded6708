// RabbitMQ's queues by passive declare, on a channel of our own: it is opened again whenever it or its connection is gone.
import type { Reading } from './gauges.ts'
import type { Tell } from './lookout.ts'
import { type QueueState, queueReadings, type Source } from './source.ts'
import { Steady } from './steady.ts'
import { StuckLine } from './stuck.ts'

/** An amqplib connection (what `connect()` resolves with). */
export interface RabbitMqConnection {
  createChannel(): PromiseLike<RabbitMqChannel>
  on(event: string, listener: () => void): unknown
  off(event: string, listener: () => void): unknown
}

export interface RabbitMqChannel {
  checkQueue(queue: string): PromiseLike<{ readonly messageCount: number; readonly consumerCount: number }>
  close(): PromiseLike<unknown>
  on(event: string, listener: () => void): unknown
}

/** Gives the connection that holds now. */
export interface Connector {
  connection(): Promise<RabbitMqConnection>
  /**
   * How long an answer may take before the connection is given up, in ms. Undefined where it is not ours to give up: a
   * broker in alarm does not read from a connection that publishes, and answers when the alarm is over.
   */
  readonly answerWithinMs: number | undefined
  giveUp(): void
  close(): Promise<void>
}

/** One channel; a question at a time, for a queue that is missing closes the channel under all other questions. */
export class Declarer {
  private channel: { readonly on: RabbitMqConnection; readonly channel: RabbitMqChannel } | undefined
  private turn: Promise<unknown> = Promise.resolve()

  constructor(private readonly connector: Connector) {}

  check(queue: string): Promise<{ readonly messageCount: number; readonly consumerCount: number }> {
    const answer = this.turn.then(() => this.ask(queue))
    this.turn = answer.catch(() => {})
    return answer
  }

  private async ask(queue: string) {
    try {
      const { answerWithinMs } = this.connector
      const answer = this.open().then((channel) => channel.checkQueue(queue))
      return await (answerWithinMs === undefined ? answer : within(answerWithinMs, answer))
    } catch (error) {
      if (error instanceof NoAnswer) {
        this.channel = undefined
        this.connector.giveUp()
      }
      throw error
    }
  }

  private async open(): Promise<RabbitMqChannel> {
    const connection = await this.connector.connection()
    if (this.channel?.on === connection) return this.channel.channel
    await this.leave()
    const channel = await connection.createChannel()
    const opened = { on: connection, channel }
    const gone = (): void => {
      if (this.channel === opened) this.channel = undefined
    }
    channel.on('error', gone) // without a listener it would end the process
    channel.on('close', gone)
    this.channel = opened
    return channel
  }

  private async leave(): Promise<void> {
    const { channel } = this.channel ?? {}
    this.channel = undefined
    try {
      if (channel !== undefined) await within(1_000, Promise.resolve(channel.close()))
    } catch {
      // Gone already, or its broker is: closed is what it was to be.
    }
  }

  async close(): Promise<void> {
    await this.leave()
    await this.connector.close()
  }
}

class NoAnswer extends Error {
  override name = 'NoAnswer'
}

function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new NoAnswer(`RabbitMQ did not answer within ${ms} ms.`)), ms)
    timer.unref()
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

export class RabbitMqSource implements Source<QueueState> {
  readonly system = 'rabbitmq'
  private readonly unattended = new Steady()
  private readonly line: StuckLine

  constructor(
    readonly queue: string,
    private readonly name: string,
    private readonly declarer: Declarer,
    private readonly stuckAfterMs: number,
    tell: Tell,
  ) {
    this.line = new StuckLine(queue, tell)
  }

  async look(): Promise<QueueState> {
    const { messageCount, consumerCount } = await this.declarer.check(this.name)
    // A consumer that is connected is sent what it may hold: seen from outside, only nobody at all is certain.
    const stuck = this.unattended.forMs(messageCount > 0 && consumerCount === 0) >= this.stuckAfterMs
    this.line.say(stuck, () => ({ ready: messageCount, consumers: consumerCount }))
    return { depth: { waiting: messageCount }, consumers: consumerCount, stuck }
  }

  readings(state: QueueState): Reading[] {
    return queueReadings(this.queue, state)
  }

  forget(): void {
    this.unattended.forget()
  }
}
