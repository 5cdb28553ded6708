// What the conformance suite asks of a broker: a queue of its own, one consumer, and the word on how each message ended.
import type { Middleware } from 'taskspan'

/** What became of a delivery, as the broker sees it. */
export type Fate =
  /** acknowledged, completed */
  | 'done'
  /** will be delivered again */
  | 'again'
  /** dead-lettered, dropped, failed for good */
  | 'given_up'

/** A message as a producer in any language would write it: nothing of taskspan touches it on its way to the broker. */
export interface Message {
  readonly name: string
  readonly body?: unknown
  /** Written where this broker carries W3C headers, as they are. */
  readonly headers?: Readonly<Record<string, unknown>> | undefined
  /** Instead of `headers`: what stands in the place of a carrier, of whatever type. Only from `Harness.hostile`. */
  readonly raw?: unknown
  /** How often it may run in all. Default 1. */
  readonly attempts?: number | undefined
}

/** What the suite's handlers get. */
export interface Delivery {
  readonly name: string
  readonly body: unknown
  /** Aborts the delivery's signal, where `Harness.cancels`. */
  cancel?(): void
  /** Gives the error by which a handler puts the message off, where `Harness.defers`. */
  defer?(): unknown
}

/** One queue with one consumer, behind the adapter under test. */
export interface Channel {
  /** `messaging.destination.name`. */
  readonly queue: string
  /** Starts the consumer, at least two messages at a time. It belongs to the context in which this is called. */
  consume(handler: (delivery: Delivery) => unknown): Promise<void>
  publish(message: Message): Promise<void>
  /** Resolves with the fates of the first `count` deliveries, in the order in which the broker was told. */
  settled(count: number): Promise<Fate[]>
  close(): Promise<void>
}

/** How one adapter is put under the suite: `conformance(harness)` in a test file of its own. */
export interface Harness {
  readonly title: string
  /** `messaging.system`. */
  readonly system: string
  /** Whether an error can put a message off without being a failure. */
  readonly defers: boolean
  /** Whether a delivery has a signal that can be aborted. */
  readonly cancels: boolean
  /** Attributes of its own that every task span has at its start. */
  readonly attributes: Readonly<Record<string, unknown>>
  /** Carriers that only this broker can carry, beside the suite's own table. */
  readonly hostile: readonly { readonly title: string; readonly raw: unknown }[]
  /** Opens an empty queue whose tasks run through this middleware. */
  open(middleware: Middleware): Promise<Channel>
}
