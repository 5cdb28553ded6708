// A broker in memory: queues, attempts, redelivery, and a record of how each delivery was settled.
import { randomUUID } from 'node:crypto'
import { compose } from '../kernel/compose.ts'
import { consumer } from '../kernel/consumer.ts'
import { TaskspanError } from '../kernel/errors.ts'
import type { Outcome } from '../kernel/outcome.ts'
import { produce } from '../kernel/producer.ts'
import type { Adapter, Carrier, Middleware } from '../kernel/task.ts'
import { type WaitOptions, waiting } from './waiting.ts'

/** What a handler gets. */
export interface FakeMessage<Body = unknown> {
  readonly id: string
  readonly name: string
  readonly queue: string
  readonly body: Body
  /** Where the trace context travels. */
  readonly headers: Carrier
  /** 1-based. */
  readonly attempt: number
  readonly maxAttempts: number
  readonly priority: number | undefined
  /** In ms since the epoch. */
  readonly sentAt: number
}

/** What a sender says. Default: one attempt, a random id, no headers. */
export interface Outgoing<Body = unknown> {
  readonly name: string
  readonly body?: Body | undefined
  readonly id?: string | undefined
  readonly headers?: Carrier | undefined
  readonly attempts?: number | undefined
  readonly priority?: number | undefined
}

/** One delivery, recorded when it was settled. */
export interface Delivery {
  readonly message: FakeMessage
  readonly settled: 'ack' | 'nack' | 'requeue'
  readonly outcome: Outcome
  /** What the handler threw. */
  readonly error: unknown
}

export interface FakeBroker {
  /** The adapter, for a `consumer()` of your own. */
  readonly adapter: Adapter<FakeMessage>
  /** Settled deliveries in the order of settling. */
  readonly deliveries: readonly Delivery[]
  /** Gives each message of the queue to the handler, at once and concurrently, from now on; one consumer per queue. */
  consume<Body = unknown>(queue: string, handler: (message: FakeMessage<Body>) => unknown, signal?: AbortSignal): void
  /** Sends through the onion: a `send` span, and headers that carry the trace. */
  send<Body>(queue: string, message: Outgoing<Body>): FakeMessage<Body>
  /** Puts a message on the queue as it is, as a foreign or hostile producer would. */
  deliver<Body>(queue: string, message: Outgoing<Body>): FakeMessage<Body>
  /** Resolves when `count` deliveries have been settled, with all of them; rejects after `timeoutMs`. */
  settled(count: number, options?: WaitOptions): Promise<Delivery[]>
}

/**
 * A broker in memory to test middleware and handlers with: the same flow as behind BullMQ and RabbitMQ, and nothing to
 * install. A throw is redelivered at once while attempts are left.
 *
 * @param middleware stands around each task and each send, as with `bullmq(…)`
 * @example
 * const broker = fakeBroker(telemetry(), myMiddleware)
 * broker.consume('orders', (message) => save(message.body))
 * broker.send('orders', { name: 'save_order', body: { id: 7 }, attempts: 3 })
 * expect(await broker.settled(1)).toMatchObject([{ settled: 'ack', outcome: 'success' }])
 */
export function fakeBroker(...middleware: Middleware[]): FakeBroker {
  const onion = compose(...middleware)
  const deliveries: Delivery[] = []
  const waitingFor = new Map<string, FakeMessage[]>()
  const handlers = new Map<string, (message: FakeMessage) => void>()
  const settlements = waiting<Delivery>(
    () => deliveries,
    ({ message, settled }) => `${message.name} ${settled}`,
  )

  const adapter: Adapter<FakeMessage> = {
    system: 'memory',
    read: ({ name, queue, id, headers, attempt, maxAttempts, priority, sentAt }) => ({
      ...{ name, queue, id, attempt, maxAttempts, priority, carrier: headers },
      waitMs: attempt === 1 ? Math.max(0, Date.now() - sentAt) : undefined,
      ageMs: Date.now() - sentAt,
    }),
    judge: (_error, { attempt, maxAttempts }) => (attempt < maxAttempts ? 'retry' : 'failure'),
    settle(message, { threw, outcome, error }) {
      const again = outcome === 'retry'
      deliveries.push({ message, settled: threw ? (again ? 'requeue' : 'nack') : 'ack', outcome, error })
      settlements.check()
      if (again) enqueue({ ...message, attempt: message.attempt + 1 })
    },
  }
  const consume = consumer(adapter, onion)

  function enqueue(message: FakeMessage): void {
    const handle = handlers.get(message.queue)
    if (handle !== undefined)
      setImmediate(handle, message) // a broker never calls back within the send
    else waitingFor.set(message.queue, [...(waitingFor.get(message.queue) ?? []), message])
  }

  function deliver<Body>(queue: string, message: Outgoing<Body>): FakeMessage<Body> {
    const { name, body, id = randomUUID(), headers = {}, attempts = 1, priority } = message
    const made: FakeMessage<Body> = {
      ...{ id, name, queue, body: body as Body, headers, priority },
      ...{ attempt: 1, maxAttempts: attempts, sentAt: Date.now() },
    }
    enqueue(made)
    return made
  }

  return {
    adapter,
    deliveries,
    consume(queue, handler, signal) {
      if (handlers.has(queue)) {
        throw new TaskspanError('INVALID_OPTION', `fakeBroker: the queue '${queue}' has a consumer already.`)
      }
      handlers.set(queue, (message) => void consume(message, () => handler(message as never), signal))
      for (const message of waitingFor.get(queue) ?? []) enqueue(message)
      waitingFor.delete(queue)
    },
    send: (queue, message) =>
      produce('memory', onion, { name: message.name, queue, id: message.id }, (carrier) =>
        deliver(queue, { ...message, headers: { ...message.headers, ...carrier } }),
      ),
    deliver,
    settled: (count, options) => settlements.until('settled deliveries', () => true, count, options),
  }
}
