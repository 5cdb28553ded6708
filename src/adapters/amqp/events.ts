// What happens on a channel and its connection outside of any message: heard once, told to each consumer it concerns.
import { errorMonitor } from 'node:events'
import type { Message } from 'amqplib'
import { queueLabel } from './read.ts'

/** What a broker, a channel or a consumer reports outside of any task. */
export type AmqpEvent =
  | 'consumer_cancelled'
  | 'channel_closed'
  | 'connection_closed'
  | 'blocked'
  | 'unblocked'
  | 'returned'
  | 'settle_failed'

/** Counts and logs an event. */
export type Report = (queue: string, event: AmqpEvent, error?: unknown) => void

/** One who wants to know: a consumer, or an observation. */
export interface Listener {
  readonly queue: string
  tell(event: AmqpEvent, error?: unknown): void
  /** The channel is closed: no reference to it may stay. */
  gone(): void
}

interface Emitter {
  on(event: string | symbol, listener: (...args: never[]) => void): unknown
  off(event: string | symbol, listener: (...args: never[]) => void): unknown
}

interface Ear {
  readonly listeners: Set<Listener>
  readonly detach: () => void
}

interface ChannelEar extends Ear {
  keepsReturns: boolean
}

interface ConnectionEar extends Ear {
  closed: boolean
  error: unknown
}

/**
 * Hears the channels of one `amqp()`: one listener of ours per event, however many consumers share a channel or a
 * connection (Node warns from the eleventh). Errors are heard through `errorMonitor`: an `error` listener would keep
 * amqplib from failing as it fails without us.
 */
export class Ears {
  // Weak: a channel that is dropped without being closed must not be kept by us.
  private readonly channels = new WeakMap<object, ChannelEar>()
  private readonly connections = new WeakMap<object, ConnectionEar>()

  constructor(private readonly report: Report) {}

  /** Tells `listener` until the channel closes or the returned function is called. */
  listen(channel: object, listener: Listener): () => void {
    const ear = this.channelEar(channel)
    ear.listeners.add(listener)
    const below = connectionOf(channel)
    const connection = below && this.connectionEar(below)
    connection?.listeners.add(listener)
    return () => {
      if (!ear.listeners.delete(listener)) return
      if (ear.listeners.size === 0 && !ear.keepsReturns) {
        ear.detach()
        this.channels.delete(channel)
      }
      if (connection !== undefined) leave(connection, listener)
    }
  }

  /** Reports the messages that come back to this channel, for as long as it lives. */
  hearReturns(channel: object): void {
    this.channelEar(channel).keepsReturns = true
  }

  private channelEar(channel: object): ChannelEar {
    const known = this.channels.get(channel)
    if (known !== undefined) return known
    const listeners = new Set<Listener>()
    let error: unknown
    const detach = attach(channel, {
      [errorMonitor]: (cause: unknown) => {
        error = cause
      },
      return: (message: Message) => {
        this.report(queueLabel(message.fields.exchange || message.fields.routingKey), 'returned')
        for (const listener of listeners) listener.tell('returned')
      },
      close: () => {
        const told = [...listeners]
        const connection = this.connections.get(connectionOf(channel) ?? channel)
        listeners.clear()
        detach()
        this.channels.delete(channel)
        for (const listener of told) listener.gone()
        // amqplib closes the channels first and says only then that, and why, the connection is closed.
        queueMicrotask(() => this.closed(told, connection, error))
      },
    })
    const ear = { listeners, detach, keepsReturns: false }
    this.channels.set(channel, ear)
    return ear
  }

  private closed(told: readonly Listener[], connection: ConnectionEar | undefined, error: unknown): void {
    for (const listener of told) {
      this.tell(listener, 'channel_closed', error ?? connection?.error)
      if (connection === undefined) continue
      if (connection.closed) this.tell(listener, 'connection_closed', connection.error)
      leave(connection, listener)
    }
  }

  private connectionEar(connection: object): ConnectionEar {
    const known = this.connections.get(connection)
    if (known !== undefined) return known
    const listeners = new Set<Listener>()
    const each = (event: AmqpEvent, reason?: unknown): void => {
      for (const listener of listeners) this.tell(listener, event, reason)
    }
    const detach = attach(connection, {
      [errorMonitor]: (cause: unknown) => {
        ear.error = cause
      },
      close: (cause?: unknown) => {
        ear.closed = true
        ear.error ??= cause
      },
      blocked: (reason: unknown) => each('blocked', reason),
      unblocked: () => each('unblocked'),
    })
    const ear: ConnectionEar = {
      listeners,
      closed: false,
      error: undefined,
      detach: () => {
        this.connections.delete(connection)
        detach()
      },
    }
    this.connections.set(connection, ear)
    return ear
  }

  private tell(listener: Listener, event: AmqpEvent, error?: unknown): void {
    this.report(listener.queue, event, error)
    listener.tell(event, error)
  }
}

function leave(connection: ConnectionEar, listener: Listener): void {
  connection.listeners.delete(listener)
  if (connection.listeners.size === 0) connection.detach()
}

// amqplib types it as a bag of server properties; it is the emitter that says `blocked`.
function connectionOf(channel: object): object | undefined {
  const { connection } = channel as { connection?: unknown }
  return typeof connection === 'object' && connection !== null ? connection : undefined
}

function attach(to: object, handlers: Record<string | symbol, (...args: never[]) => void>): () => void {
  const emitter = to as Partial<Emitter>
  if (typeof emitter.on !== 'function' || typeof emitter.off !== 'function') return () => {}
  const events = Reflect.ownKeys(handlers)
  for (const event of events) emitter.on(event, handlers[event] as () => void)
  return () => {
    for (const event of events) emitter.off?.(event, handlers[event] as () => void)
  }
}
