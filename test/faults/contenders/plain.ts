// No instrumentation at all: what the others stand on, and what their outcomes are compared with.
import { connect } from 'amqplib'
import { FlowProducer, Queue, Worker } from 'bullmq'
import type { Instrumented } from './contender.ts'

export const plain: Instrumented = {
  worker: (queue, processor, options) => new Worker(queue, processor, options),
  queue: (name, options) => new Queue(name, options),
  flows: (options) => new FlowProducer(options),
  connect: (url) => connect(url, { noDelay: true }),
  async consume(channel, queue, handler, again) {
    await channel.consume(queue, async (message) => {
      if (message === null) return
      try {
        await handler(message)
      } catch {
        channel.nack(message, false, again(message))
        return
      }
      channel.ack(message)
    })
  },
  publish: (channel, queue, content, options, answered) => channel.publish('', queue, content, options, answered),
}
