// Instrumentation as it is often written by hand, with nothing contained. Deliberately broken: every row must find it out.
import { context, propagation, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { Job } from 'bullmq'
import { pino } from 'pino'
import { Counter, Histogram } from 'prom-client'
import type { TelemetryOptions } from 'taskspan/telemetry'
import type { Contender } from './contender.ts'
import { plain } from './plain.ts'

interface Work {
  readonly name: string
  readonly queue: string
  readonly body: unknown
  readonly carrier: Record<string, string>
}

export const careless: Contender = {
  name: 'careless',
  packages: [],
  places: ['BullMQ', 'RabbitMQ', 'no broker'],
  instrument(options, { recorded }) {
    const { registry } = recorded.metrics
    const around = instrumentation({ registry, logger: recorded.logs.logger, ...options })
    const carrier = (): Record<string, string> => {
      const headers = {}
      propagation.inject(context.active(), headers)
      return headers
    }
    return {
      ...plain,
      worker(queue, processor, given) {
        const processing = (job: Job, token?: string, signal?: AbortSignal) => {
          const metadata = job.opts.telemetry?.metadata ?? '{}'
          const work = { name: job.name, queue, body: job.data, carrier: JSON.parse(metadata) }
          return around(work, () => processor(job, token, signal))
        }
        return plain.worker(queue, processing, given)
      },
      queue(name, given) {
        const queue = plain.queue(name, given)
        const { add } = queue
        queue.add = (task, data, opts = {}) =>
          add.call(queue, task, data, { ...opts, telemetry: { metadata: JSON.stringify(carrier()) } })
        return queue
      },
      async consume(channel, queue, handler, again) {
        await plain.consume(
          channel,
          queue,
          ({ properties, ...rest }) => {
            const headers = properties.headers ?? {}
            for (const key of ['traceparent', 'tracestate', 'baggage']) headers[key] = headers[key]?.trim()
            const work = { name: String(properties.type), queue, body: String(rest.content), carrier: headers }
            return around(work, () => handler({ properties, ...rest }))
          },
          again,
        )
      },
      publish(channel, queue, content, given, answered) {
        given.headers = Object.assign(given.headers ?? {}, carrier())
        return plain.publish(channel, queue, content, given, answered)
      },
      scrape: () => registry.metrics(),
    }
  },
}

function instrumentation(options: TelemetryOptions): (work: Work, handler: () => unknown) => Promise<unknown> {
  const { registry, logger = pino() } = options
  const registers = registry === undefined ? [] : [registry]
  const ended = new Counter({ name: 'tasks_total', help: 'Tasks.', labelNames: ['name'], registers })
  const duration = new Histogram({ name: 'tasks_seconds', help: 'Time.', labelNames: ['name'], registers })
  return async ({ name, queue, body, carrier }, handler) => {
    const parent = propagation.extract(context.active(), carrier)
    const attributes = { body: JSON.stringify(body), queue, ...options.attributes?.({ name, queue } as never) }
    const span = trace.getTracer('careless').startSpan(name, { kind: SpanKind.CONSUMER, attributes }, parent)
    const startedAt = performance.now()
    try {
      const result = await context.with(trace.setSpan(parent, span), handler)
      span.setAttribute('result', JSON.stringify(result))
      return result
    } catch (error) {
      failed(span, error as Error)
      options.onFailure?.(error, { name, queue } as never)
      throw error
    } finally {
      ended.inc({ name })
      duration.observe({ name }, (performance.now() - startedAt) / 1000)
      logger.info({ body, correlation: options.correlate?.({ name } as never) }, 'done')
      span.end()
    }
  }
}

function failed(span: Span, error: Error): void {
  span.recordException(error)
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message })
}
