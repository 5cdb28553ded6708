// d: a task as a competent developer instruments it, plainly. Spans and metrics; `lines` adds two of pino.
// Objects are written as literals: `{ ...labels, outcome }` alone would make it dearer by a third.
import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { pino } from 'pino'
import { Counter, Gauge, Histogram } from 'prom-client'

export function byHand(handler, { lines = false } = {}) {
  const tracer = trace.getTracer('worker')
  const duration = new Histogram({
    name: 'tasks_duration_seconds',
    help: 'How long task attempts ran, in seconds.',
    labelNames: ['queue', 'task_name', 'task_type', 'result'],
    buckets: [
      0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400,
    ],
  })
  const ended = new Counter({
    name: 'tasks_total',
    help: 'Task attempts that ended, by outcome.',
    labelNames: ['queue', 'task_name', 'task_type', 'outcome'],
  })
  const inProgress = new Gauge({
    name: 'tasks_in_progress',
    help: 'Task attempts running now.',
    labelNames: ['queue', 'task_name'],
  })
  const logger = lines ? pino({ level: 'debug' }, { write() {} }) : undefined

  return async (message) => {
    const { name, queue, id, attempt, maxAttempts } = message
    const parent = propagation.extract(ROOT_CONTEXT, message.headers)
    const waitMs = Date.now() - message.sentAt
    const span = tracer.startSpan(
      `task.${name}`,
      {
        kind: SpanKind.CONSUMER,
        attributes: {
          task_type: 'on_demand',
          'task.name': name,
          'task.attempt': attempt,
          'task.max_attempts': maxAttempts,
          'task.wait_ms': waitMs,
          'messaging.system': 'memory',
          'messaging.operation.name': 'process',
          'messaging.operation.type': 'process',
          'messaging.destination.name': queue,
          'messaging.message.id': id,
          'messaging.message.receive.latency': waitMs,
        },
      },
      parent,
    )
    const startedAt = performance.now()
    inProgress.inc({ queue, task_name: name })
    let result = 'ok'
    let outcome = 'success'
    const { traceId, spanId } = span.spanContext()
    logger?.debug(
      {
        trace_id: traceId,
        span_id: spanId,
        task_name: name,
        task_id: id,
        task_type: 'on_demand',
        queue,
        attempt,
        max_attempts: maxAttempts,
        wait_ms: waitMs,
      },
      'task.started',
    )
    try {
      return await context.with(trace.setSpan(parent, span), () => handler(message))
    } catch (error) {
      result = 'error'
      outcome = attempt < maxAttempts ? 'retry' : 'failure'
      span.recordException(error)
      span.setStatus({ code: SpanStatusCode.ERROR, message: error.message })
      throw error
    } finally {
      const durationMs = performance.now() - startedAt
      inProgress.dec({ queue, task_name: name })
      ended.inc({ queue, task_name: name, task_type: 'on_demand', outcome })
      duration.observe({ queue, task_name: name, task_type: 'on_demand', result }, durationMs / 1000)
      logger?.info(
        {
          trace_id: traceId,
          span_id: spanId,
          task_name: name,
          task_id: id,
          task_type: 'on_demand',
          queue,
          attempt,
          max_attempts: maxAttempts,
          wait_ms: waitMs,
          outcome,
          duration_ms: durationMs,
        },
        'task.succeeded',
      )
      span.setAttribute('task.outcome', outcome)
      span.end()
    }
  }
}
