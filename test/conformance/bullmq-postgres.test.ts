// The conformance suite on BullMQ with PostgreSQL, embedded in the process.
import { afterAll, beforeAll } from 'vitest'
import { type Broker, openEmbedded } from '../../examples/demo/embedded.ts'
import { queueName } from '../support/bullmq.ts'
import { bullmqChannel, bullmqTraits } from './bullmq-channel.ts'
import { conformance } from './suite.ts'

let broker: Broker

// Building a database takes 3 to 11 s on a small machine, and longer on a busy one.
beforeAll(async () => {
  broker = await openEmbedded()
}, 90_000)
afterAll(() => broker?.close())

conformance({
  ...bullmqTraits,
  title: 'BullMQ on PostgreSQL',
  open: async (middleware) =>
    bullmqChannel(
      {
        queue: () => broker.queue(queueName('orders')),
        worker: (queue, processor, options) => broker.worker(queue, processor, options),
      },
      middleware,
    ),
})
