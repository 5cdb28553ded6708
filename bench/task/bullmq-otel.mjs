// bullmq-otel as BullMQ's worker drives it around a processor: BullMQ's own `trace()` and the attributes it sets. Traces only.
import { trace } from 'bullmq'
import { BullMQOtel } from 'bullmq-otel'

const CONSUMER = 4

export function bullmqOtel(handler) {
  const telemetry = new BullMQOtel({ tracerName: 'worker' })
  return (message) =>
    trace(
      telemetry,
      CONSUMER,
      message.queue,
      'process',
      message.queue,
      async (span) => {
        span.setAttributes({
          'bullmq.worker.id': 'w-1',
          'bullmq.worker.name': 'render',
          'bullmq.job.id': message.id,
          'bullmq.job.name': message.name,
        })
        try {
          const result = await handler(message)
          span.addEvent('job completed', { 'bullmq.job.result': JSON.stringify(result) })
          return result
        } finally {
          span.setAttributes({
            'bullmq.job.attempt_finished_timestamp': Date.now(),
            'bullmq.job.processed.timestamp': message.sentAt,
          })
        }
      },
      message.metadata,
    )
}
