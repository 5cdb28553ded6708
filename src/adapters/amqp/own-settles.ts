// Which messages a handler has settled by itself although we settle: a second ack would close the whole channel.
import type { Message } from 'amqplib'
import { guard } from '../../kernel/faults.ts'

/** Notes what handlers settle on one channel, for as long as somebody of ours settles there. */
export interface OwnSettles {
  delivered(message: Message): void
  has(message: Message): boolean
  /** The message that we are about to settle ourselves, which is not worth a note. */
  ours: Message | undefined
  release(): void
}

type Method = (...args: unknown[]) => unknown

const METHODS = ['ack', 'nack', 'reject', 'ackAll', 'nackAll'] as const

// Weak: what is noted of a channel goes with it.
const channels = new WeakMap<object, Notes>()

/**
 * Sees the acks and nacks that handlers make: for as long as it is wanted, this one channel object has functions of ours
 * that call its own. amqplib tells nobody of an ack, and its prototypes are not ours to change.
 */
export function ownSettles(channel: object): OwnSettles {
  let notes = channels.get(channel)
  if (notes === undefined) {
    notes = new Notes(channel)
    channels.set(channel, notes)
  }
  notes.users++
  return notes
}

class Notes implements OwnSettles {
  users = 0
  ours: Message | undefined
  private readonly messages = new WeakSet<Message>()
  private settledUpTo = 0
  private lastTag = 0
  private readonly restore: () => void

  constructor(channel: object) {
    const restores = METHODS.map((name) => guard('rabbitmq', 'watch', () => this.watch(channel, name)))
    this.restore = () => {
      channels.delete(channel)
      for (const restore of restores) restore?.()
    }
  }

  // Tags grow on a channel. They start anew behind amqp-connection-manager's wrapper, when it has another channel.
  delivered(message: Message): void {
    const tag = tagOf(message)
    if (tag === undefined) return
    if (tag <= this.lastTag) this.settledUpTo = 0
    this.lastTag = tag
  }

  has(message: Message): boolean {
    return (tagOf(message) ?? Number.POSITIVE_INFINITY) <= this.settledUpTo || this.messages.has(message)
  }

  release(): void {
    this.users--
    if (this.users === 0) this.restore()
  }

  private watch(channel: object, name: (typeof METHODS)[number]): () => void {
    const target = channel as Record<string, unknown>
    const original = target[name]
    if (typeof original !== 'function') return () => {}
    const notes = this
    function noting(this: unknown, ...args: unknown[]): unknown {
      const result: unknown = Reflect.apply(original as Method, this, args)
      if (args[0] === undefined || args[0] !== notes.ours) guard('rabbitmq', 'watch', () => notes.note(name, args))
      return result
    }
    const wasOwn = Object.hasOwn(channel, name)
    Object.defineProperty(channel, name, { value: noting, configurable: true, writable: true })
    return () => {
      if (target[name] !== noting) return // somebody has put theirs around ours, and goes on to call it
      if (wasOwn) target[name] = original
      else delete target[name]
    }
  }

  private note(name: (typeof METHODS)[number], [message, allUpTo]: unknown[]): void {
    if (name === 'ackAll' || name === 'nackAll') {
      this.settledUpTo = this.lastTag
      return
    }
    this.messages.add(message as Message)
    if (allUpTo === true && name !== 'reject') {
      this.settledUpTo = Math.max(this.settledUpTo, (message as Message).fields.deliveryTag)
    }
  }
}

// A message of a test's own may have none: its handler runs all the same.
function tagOf(message: Partial<Message> | undefined): number | undefined {
  return message?.fields?.deliveryTag
}
