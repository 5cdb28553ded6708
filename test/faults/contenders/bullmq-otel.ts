// bullmq-otel, as BullMQ's documentation says.
import type { Telemetry } from 'bullmq'
import { BullMQOtel } from 'bullmq-otel'
import type { Contender } from './contender.ts'
import { plain } from './plain.ts'

export const bullmqOtel: Contender = {
  name: 'bullmq-otel',
  packages: ['bullmq-otel', 'bullmq'],
  places: ['BullMQ'],
  instrument() {
    const telemetry = new BullMQOtel({ tracerName: 'shop', enableMetrics: true }) as unknown as Telemetry
    return {
      ...plain,
      worker: (queue, processor, given) => plain.worker(queue, processor, { ...given, telemetry }),
      queue: (name, given) => plain.queue(name, { ...given, telemetry }),
      flows: (given) => plain.flows({ ...given, telemetry }),
    }
  },
}
