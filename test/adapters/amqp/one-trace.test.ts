// One trace over both brokers: API, BullMQ task, RabbitMQ task, with its logs and exemplars.
import { trace } from '@opentelemetry/api'
import { amqp } from 'taskspan/amqp'
import { bullmq, propagation } from 'taskspan/bullmq'
import { bind, log } from 'taskspan/logging'
import { expect, it } from 'vitest'
import { makeQueue, openChannel } from '../../support/amqp.ts'
import { openQueue, openWorker, queueName } from '../../support/bullmq.ts'
import { record } from '../../support/record.ts'

it('goes from the API through BullMQ to RabbitMQ, in spans, logs and exemplars, with the request on every line', async () => {
  const { spans, metrics, logs, t, faults } = await record({ correlation: ['request_id'] })
  const { consume, publish } = amqp(t)
  const channel = await openChannel()
  const exports = await makeQueue(channel, {}, 'exports')
  await consume(channel, exports, async () => {
    log().info('exporting')
    await Promise.resolve()
    log().debug('exported')
  })
  const renders = queueName('renders')
  openWorker(
    renders,
    bullmq(t)(async () => publish(channel, '', exports, Buffer.from('{}'), { type: 'export' })),
  )
  const queue = openQueue(renders, { telemetry: propagation(t) })

  const request = await trace.getTracer('api').startActiveSpan('POST /clips', async (span) => {
    await bind({ request_id: 'r-42' }, () => queue.add('render', {}))
    span.end()
    return span.spanContext()
  })
  const last = await spans.waitFor('taskiq.export')

  expect(spans.outline()).toBe(
    ['POST /clips', `  send ${renders}`, '    taskiq.render', `      send ${exports}`, '        taskiq.export'].join(
      '\n',
    ),
  )
  expect(new Set(spans.spans.map(({ traceId }) => traceId))).toEqual(new Set([request.traceId]))
  expect(last.attributes).toMatchObject({ 'messaging.system': 'rabbitmq', request_id: 'r-42' })

  await logs.waitFor('task.succeeded', 2)
  const lines = logs.lines.filter(({ task_name }) => task_name === 'export')
  expect(lines.map(({ message }) => message)).toEqual(['task.started', 'exporting', 'exported', 'task.succeeded'])
  for (const line of lines) {
    expect(line).toMatchObject({ trace_id: request.traceId, span_id: last.spanId, request_id: 'r-42' })
  }
  expect(new Set(logs.lines.map(({ trace_id }) => trace_id))).toEqual(new Set([request.traceId]))

  const marks = async (name: string) => {
    const buckets = await metrics.series('taskiq_tasks_duration_seconds_bucket', { task_name: name })
    return buckets.map(({ exemplar }) => exemplar).filter((exemplar) => exemplar !== undefined)
  }
  expect(await marks('render')).toEqual([{ trace_id: request.traceId, span_id: spans.one('taskiq.render').spanId }])
  expect(await marks('export')).toEqual([{ trace_id: request.traceId, span_id: last.spanId }])
  expect(await faults()).toBe(0)
})
