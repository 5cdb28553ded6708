// The span of a task: its name, kind, parent and attributes, and what stands below it.
import { trace } from '@opentelemetry/api'
import { describe, expect, it } from 'vitest'
import { record } from '../../support/record.ts'
import { SENDER } from '../carriers.ts'
import { type Bench, failing } from './bench.ts'

export function span(bench: Bench): void {
  const { open, deliver } = bench

  describe(`${bench.title}: the span`, () => {
    it('has its name, kind, parent and attributes when the handler starts', async () => {
      const { t, spans } = await record()
      let atStart: unknown
      const channel = await open(t)
      const message = { name: 'render', headers: { traceparent: SENDER.traceparent, tracestate: 'vendor=1' } }
      await deliver(channel, message, () => {
        const active = trace.getActiveSpan() as unknown as { attributes: object }
        atStart = { ...active.attributes, tracestate: trace.getActiveSpan()?.spanContext().traceState?.get('vendor') }
      })

      const span = await spans.waitFor('taskiq.render')
      expect(span).toMatchObject({ kind: 'consumer', traceId: SENDER.traceId, parentSpanId: SENDER.spanId, links: [] })
      expect(atStart).toMatchObject({
        tracestate: '1',
        task_type: 'on_demand',
        'taskiq.task.name': 'render',
        'taskiq.attempt': 1,
        'messaging.system': bench.harness.system,
        'messaging.operation.name': 'process',
        'messaging.operation.type': 'process',
        'messaging.destination.name': channel.queue,
        ...bench.harness.attributes,
      })
      expect(atStart).not.toHaveProperty(['messaging.message.retry.count'])
      expect(atStart).not.toHaveProperty(['taskiq.outcome'])
    })

    it('stands around the handler: what the handler starts is its child, also after an await', async () => {
      const { t, spans } = await record()
      const channel = await open(t)
      await deliver(channel, { name: 'render' }, async () => {
        trace.getTracer('test').startSpan('before').end()
        await new Promise((resolve) => setTimeout(resolve, 1))
        trace.getTracer('test').startSpan('after').end()
      })
      const task = await spans.waitFor('taskiq.render')
      expect(task.children.map(({ name }) => name)).toEqual(['before', 'after'])
      expect(spans.open).toEqual([])
    })

    it('is the exemplar of the duration and of a failure', async () => {
      const { t, spans, metrics, logs } = await record()
      const channel = await open(t)
      await deliver(channel, { name: 'pay' }, failing)
      await logs.waitFor('task.failed')
      const { traceId, spanId } = spans.one('taskiq.pay')
      const exemplar = { trace_id: traceId, span_id: spanId }
      const [failures] = await metrics.series('taskiq_task_failures_total')
      expect(failures?.exemplar).toEqual(exemplar)
      const buckets = await metrics.series('taskiq_tasks_duration_seconds_bucket')
      expect(buckets.filter((bucket) => bucket.exemplar !== undefined)).toMatchObject([{ exemplar }])
    })
  })
}
