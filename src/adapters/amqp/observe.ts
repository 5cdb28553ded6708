// A handle on a channel: what happens to it outside of any message, counted, logged, and told to those who listen.
import { isPromise } from 'node:util/types'
import { fault, guard } from '../../kernel/faults.ts'
import type { AmqpEvent, Ears, Listener, Report } from './events.ts'

/** What a listener is told. */
export interface AmqpNotice {
  readonly event: AmqpEvent
  readonly queue: string
  /** Why, where that is known. */
  readonly error: unknown
}

export interface AmqpObservation extends AsyncDisposable {
  /** The queue's label; `(anonymous)` for a queue that the broker named. */
  readonly queue: string
  /**
   * Calls `listener` each time that `event` happens; what it throws, or rejects with, is counted.
   *
   * @returns a function that ends it
   */
  on(event: AmqpEvent, listener: (notice: AmqpNotice) => void): () => void
  /** Removes our listeners from the channel, and nothing else. */
  close(): Promise<void>
}

export class Observation implements AmqpObservation, Listener {
  private readonly listeners = new Map<AmqpEvent, Set<(notice: AmqpNotice) => void>>()
  private unlisten: (() => void) | undefined

  constructor(
    ears: Ears,
    private readonly report: Report,
    channel: object,
    readonly queue: string,
  ) {
    this.unlisten = ears.listen(channel, this)
  }

  on(event: AmqpEvent, listener: (notice: AmqpNotice) => void): () => void {
    let listeners = this.listeners.get(event)
    if (listeners === undefined) {
      listeners = new Set()
      this.listeners.set(event, listeners)
    }
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
    }
  }

  /** Counted, logged and told. */
  happened(event: AmqpEvent, error?: unknown): void {
    this.report(this.queue, event, error)
    this.tell(event, error)
  }

  tell(event: AmqpEvent, error?: unknown): void {
    for (const listener of this.listeners.get(event) ?? []) {
      const told: unknown = guard('rabbitmq', 'listener', () => listener({ event, queue: this.queue, error }))
      // Nobody awaits an async listener, and its rejection would end the process.
      if (isPromise(told)) told.catch((rejection: unknown) => fault('rabbitmq', 'listener', rejection))
    }
  }

  gone(): void {
    this.unlisten = undefined // it knows the channel
  }

  async close(): Promise<void> {
    this.end()
  }

  /** Lets go of the channel. */
  end(): void {
    this.unlisten?.()
    this.gone()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
