// taskspan, as its README says.
import type { FlowProducer, Queue } from 'bullmq'
import { amqp, inject as amqpInject } from 'taskspan/amqp'
import { bullmq, inject, injectBulk, injectFlow, propagation } from 'taskspan/bullmq'
import { render } from 'taskspan/metrics'
import { telemetry } from 'taskspan/telemetry'
import type { Sender } from '../bench/lane.ts'
import type { Contender } from './contender.ts'
import { plain } from './plain.ts'

export const taskspan: Contender = {
  name: 'taskspan',
  packages: ['taskspan'],
  places: ['BullMQ', 'RabbitMQ', 'no broker'],
  instrument(options, { recorded, after }) {
    const t = telemetry({ registry: recorded.metrics.registry, logger: recorded.logs.logger, ...options })
    const instrument = bullmq(t)
    const { consume, publish } = amqp(t)
    return {
      ...plain,
      worker(queue, processor, given) {
        const worker = plain.worker(queue, instrument(processor), { ...given, telemetry: propagation(t) })
        instrument.observe(worker)
        return worker
      },
      queue: (name, given) => plain.queue(name, { ...given, telemetry: propagation(t) }),
      flows: (given) => plain.flows({ ...given, telemetry: propagation(t) }),
      async consume(channel, queue, handler, again) {
        const consumer = await consume(channel, queue, handler, { requeue: (_, message) => again(message) })
        after(() => consumer.close({ graceMs: 0 }))
      },
      publish: (channel, queue, content, given, answered) => publish(channel, '', queue, content, given, answered),
      byHand: { inject: (given) => amqpInject(given), senders },
      scrape: async () => (await render(recorded.metrics.registry, 'application/openmetrics-text')).body,
    }
  },
}

const senders = (queue: Queue, flows: FlowProducer): Sender[] => [
  { title: 'inject()', ids: ['by-hand'], send: () => queue.add('render', {}, inject({ jobId: 'by-hand' })) },
  {
    title: 'injectBulk()',
    ids: ['by-hand-1', 'by-hand-2'],
    send: () =>
      queue.addBulk(injectBulk([1, 2].map((n) => ({ name: 'clip', data: {}, opts: { jobId: `by-hand-${n}` } })))),
  },
  {
    title: 'injectFlow()',
    ids: ['by-hand-parent', 'by-hand-child'],
    send: () =>
      flows.add(
        injectFlow({
          ...{ name: 'export', queueName: queue.name, opts: { jobId: 'by-hand-parent' } },
          children: [{ name: 'clip', queueName: queue.name, opts: { jobId: 'by-hand-child' } }],
        }),
      ),
  },
]
