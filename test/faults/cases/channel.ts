// A channel of amqplib's shape without a broker: it is told things, and happens to.
import { EventEmitter } from 'node:events'
import type { ConfirmChannel, ConsumeMessage } from 'amqplib'

export interface Told {
  readonly word: 'ack' | 'drop' | 'requeue'
  readonly message: ConsumeMessage
}

export class FakeChannel extends EventEmitter {
  readonly connection = new EventEmitter()
  readonly told: Told[] = []
  readonly published: unknown[][] = []
  /** Called with each word, where somebody counts them. */
  onTold: ((told: Told) => void) | undefined
  private onMessage: ((message: ConsumeMessage | null) => unknown) | undefined
  private isClosed = false

  // As code under test wants it.
  readonly face = this as unknown as ConfirmChannel

  prefetch(): Promise<object> {
    return Promise.resolve({})
  }

  consume(_queue: string, onMessage: (message: ConsumeMessage | null) => unknown): Promise<object> {
    this.onMessage = onMessage
    return Promise.resolve({ consumerTag: 'ctag' })
  }

  cancel(): Promise<object> {
    return Promise.resolve({ consumerTag: 'ctag' })
  }

  ack(message: ConsumeMessage): void {
    this.tell({ word: 'ack', message })
  }

  nack(message: ConsumeMessage, _allUpTo?: boolean, requeue?: boolean): void {
    this.tell({ word: requeue === false ? 'drop' : 'requeue', message })
  }

  publish(...args: unknown[]): boolean {
    this.published.push(args)
    return false
  }

  /** Resolves or rejects with whatever the consumer's function gives back. */
  deliver(message: ConsumeMessage | null): unknown {
    return this.onMessage?.(message)
  }

  close(error?: Error): void {
    if (this.isClosed) return
    this.isClosed = true
    if (error !== undefined && this.listenerCount('error') > 0) this.emit('error', error)
    this.emit('close')
  }

  private tell(told: Told): void {
    if (this.isClosed) throw new Error('IllegalOperationError: Channel closed')
    if (this.onTold === undefined) this.told.push(told)
    else this.onTold(told)
  }
}
