// One queue under one contender: messages in, tasks run, and what the broker was told of each.

/** As a producer in any language would write it. */
export interface Message {
  readonly id: string
  /** Default `render`. */
  readonly name?: string
  readonly body?: unknown
  /** Written where this broker carries W3C headers, as they are. */
  readonly carrier?: Readonly<Record<string, unknown>> | undefined
  /** Instead of `carrier`: whatever stands in its place. */
  readonly raw?: unknown
  /** How often it may run in all: 1 or 2. Default 1. On RabbitMQ 0 makes whatever decides that throw. */
  readonly attempts?: number
}

export interface Delivery {
  readonly id: string
  readonly name: string
  readonly body: unknown
  /** 1-based. */
  readonly attempt: number
  /** Where the broker's client has one. */
  readonly signal?: AbortSignal | undefined
  /** Aborts the signal, where there is one. */
  cancel(): void
  /** Puts the message off by the broker's own means, and gives the error to throw; undefined where there is none. */
  defer?(): Promise<unknown>
}

export type Handler = (delivery: Delivery) => unknown

/** How a message ended, in plain values of the broker's: two of them can be compared. */
export interface Fate {
  readonly end: 'done' | 'given up' | 'open'
  /** What the broker was told or keeps, in its own words. */
  readonly [detail: string]: unknown
}

/** A message that a contender's sender left on the broker. */
export interface Stored {
  readonly id: string
  readonly name: string
  readonly body: unknown
  /** All that travels beside the body, as text. */
  readonly beside: string
}

/** One way of sending. */
export interface Sender {
  readonly title: string
  /** What it leaves in the queue. */
  readonly ids: readonly string[]
  /** Resolves when the broker has it; rejects when the caller was told that it has not. */
  send(): Promise<unknown>
}

export interface Lane {
  readonly queue: string
  /** How often each message ran, by its id. */
  readonly runs: ReadonlyMap<string, number>
  /** Starts one more worker. It belongs to the context in which this is called. */
  work(handler: Handler, options?: { readonly concurrency?: number }): Promise<void>
  /** Puts messages into the queue in the way of a plain producer. */
  put(...messages: Message[]): Promise<void>
  /** Sends through the contender. */
  send(message: Message): Promise<unknown>
  /** Resolves when the broker was told the last word on a message. */
  ended(id: string): Promise<Fate>
  /** As `ended`, or `open` once the worker says by an error that it will never tell. */
  outcome(id: string): Promise<Fate>
  /** How a message stands now. */
  look(id: string): Promise<Fate>
  /** What waits in the queue, oldest first. */
  stored(): Promise<Stored[]>
  /** How many messages the queue holds that wait for something. */
  count(): Promise<number>
  /** Every way in which the contender sends. */
  readonly senders: readonly Sender[]
  /** Sends that find out what becomes of the caller's own options. */
  readonly picky: readonly Sender[]
  /** The contender's metrics, where it has any. */
  readonly scrape: (() => Promise<string>) | undefined
  /** Ends the workers without waiting for their tasks. */
  stop(): Promise<void>
  close(): Promise<void>
}
