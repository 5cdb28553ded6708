// The conformance suite on BullMQ with Redis.
import { Queue, Worker } from 'bullmq'
import { own, queueName } from '../support/bullmq.ts'
import { bullmqChannel, bullmqTraits } from './bullmq-channel.ts'
import { conformance } from './suite.ts'

conformance({
  ...bullmqTraits,
  title: 'BullMQ on Redis',
  open: async (middleware) =>
    bullmqChannel(
      {
        queue: () => new Queue(queueName('orders'), own()),
        worker: (queue, processor, options) => new Worker(queue, processor, { ...own(), ...options }),
      },
      middleware,
    ),
})
