// The suite on a broker in memory: what it asks, at its smallest.
import { fakeBroker } from 'taskspan/testing'
import { expect } from 'vitest'
import { conformance } from './suite.ts'

conformance({
  title: 'a broker in memory',
  system: 'memory',
  defers: false,
  cancels: true,
  attributes: { 'messaging.message.id': expect.any(String), 'taskiq.max_attempts': 1 },
  hostile: [],
  async open(middleware) {
    const broker = fakeBroker(middleware)
    const FATES = { ack: 'done', nack: 'given_up', requeue: 'again' } as const
    return {
      queue: 'orders',
      async consume(handler) {
        const cancelling = new AbortController()
        broker.consume(
          'orders',
          ({ name, body }) => handler({ name, body, cancel: () => cancelling.abort() }),
          cancelling.signal,
        )
      },
      async publish({ name, body, headers, attempts }) {
        broker.deliver('orders', { name, body, attempts, headers })
      },
      settled: async (count) => (await broker.settled(count)).map(({ settled }) => FATES[settled]),
      close: async () => {},
    }
  },
})
