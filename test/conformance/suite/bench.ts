// What every part of the suite works with: a queue that closes itself, one delivery, an error of its own class.
import { compose, type Middleware } from 'taskspan'
import { onTestFinished } from 'vitest'
import type { Channel, Delivery, Fate, Harness, Message } from '../harness.ts'

export class PaymentError extends Error {
  override name = 'PaymentError'
}

/** A handler that fails. */
export const failing = (): never => {
  throw new PaymentError('no funds')
}

export interface Bench {
  readonly title: string
  readonly harness: Harness
  /** Opens a queue that is closed again when the test ends. */
  open(...middleware: Middleware[]): Promise<Channel>
  /** One message through telemetry and a handler, until the broker was told how `deliveries` of it ended. */
  deliver(
    channel: Channel,
    message: Message,
    handler: (delivery: Delivery) => unknown,
    deliveries?: number,
  ): Promise<Fate[]>
}

export function benchOf(harness: Harness): Bench {
  return {
    title: harness.title,
    harness,
    async open(...middleware) {
      const channel = await harness.open(compose(...middleware))
      onTestFinished(() => channel.close())
      return channel
    },
    async deliver(channel, message, handler, deliveries = 1) {
      await channel.consume(handler)
      const settled = channel.settled(deliveries)
      await channel.publish(message)
      return settled
    },
  }
}
