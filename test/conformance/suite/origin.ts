// Where a trace comes from: the message, and nothing else.
import { context, propagation, trace } from '@opentelemetry/api'
import { currentTask } from 'taskspan'
import { bind, log } from 'taskspan/logging'
import { describe, expect, it } from 'vitest'
import { record } from '../../support/record.ts'
import { HOSTILE, OVERSIZED, SENDER } from '../carriers.ts'
import type { Bench } from './bench.ts'

export function origin(bench: Bench): void {
  const { open, deliver } = bench

  describe(`${bench.title}: where the trace comes from`, () => {
    it.each(HOSTILE)('$title: the task runs, and begins a trace', async ({ headers, counted }) => {
      const { t, spans, faults } = await record()
      const channel = await open(t)
      expect(await deliver(channel, { name: 'render', headers }, () => 'ran')).toEqual(['done'])
      const span = await spans.waitFor('taskiq.render')
      expect(span.parentSpanId).toBeUndefined()
      expect(span.traceId).not.toBe(SENDER.traceId)
      expect(span.links).toEqual([])
      expect(await faults()).toBe(counted ? 1 : 0)
    })

    it.each(bench.harness.hostile)('$title: the task runs, and begins a trace', async ({ raw }) => {
      const { t, spans, faults } = await record()
      const channel = await open(t)
      expect(await deliver(channel, { name: 'render', raw }, () => 'ran')).toEqual(['done'])
      expect((await spans.waitFor('taskiq.render')).parentSpanId).toBeUndefined()
      expect(await faults()).toBe(1)
    })

    it.each(OVERSIZED)('$title beside a good traceparent is ignored and counted', async ({ title: _, ...beside }) => {
      const { t, spans, faults } = await record()
      const channel = await open(t)
      const headers = { traceparent: SENDER.traceparent, ...beside }
      expect(await deliver(channel, { name: 'render', headers }, () => 'ran')).toEqual(['done'])
      expect([undefined, SENDER.spanId]).toContain((await spans.waitFor('taskiq.render')).parentSpanId)
      expect(await faults()).toBe(1)
    })

    it.each([
      ['a broken tracestate', { tracestate: ',,=,\u0000' }],
      ['broken baggage', { baggage: '%%%;=' }],
      ['a thousand foreign characters', { note: 'x'.repeat(1_000) }],
    ])('%s beside a good traceparent costs nothing', async (_, beside) => {
      const { t, spans } = await record()
      const channel = await open(t)
      await deliver(channel, { name: 'render', headers: { traceparent: SENDER.traceparent, ...beside } }, () => 'ran')
      expect(await spans.waitFor('taskiq.render')).toMatchObject({
        traceId: SENDER.traceId,
        parentSpanId: SENDER.spanId,
      })
    })

    it('a consumer made inside a request keeps nothing of it', async () => {
      const { t, spans, logs } = await record({ correlation: ['request_id', 'session'] })
      const channel = await open(t)
      let inside: unknown
      const handler = (): void => {
        log().info('inside')
        const baggage = propagation.getBaggage(context.active())?.getAllEntries() ?? []
        inside = { baggage, task: currentTask()?.name, parent: currentTask()?.parent }
      }
      const baggage = propagation.createBaggage({ session: { value: 's-1' } })
      await trace.getTracer('test').startActiveSpan('request', async (request) => {
        await context.with(propagation.setBaggage(context.active(), baggage), () =>
          bind({ request_id: 'r-1' }, () => channel.consume(handler)),
        )
        request.end()
      })
      const settled = channel.settled(1)
      await channel.publish({ name: 'render' })
      await settled

      const span = await spans.waitFor('taskiq.render')
      expect(span.parentSpanId).toBeUndefined()
      expect(span.traceId).not.toBe(spans.one('request').traceId)
      expect(span.links).toEqual([])
      expect(span.attributes).not.toHaveProperty('request_id')
      expect(span.attributes).not.toHaveProperty('session')
      expect(inside).toEqual({ baggage: [], task: 'render', parent: undefined })
      const [line] = await logs.waitFor('inside', 1)
      expect(line).toMatchObject({ trace_id: span.traceId, span_id: span.spanId, task_name: 'render' })
      expect(line).not.toHaveProperty('request_id')
    })

    it('correlation keys come with the message, and only those that were asked for', async () => {
      const { t, spans, logs } = await record({ correlation: ['request_id'] })
      const channel = await open(t)
      const headers = { traceparent: SENDER.traceparent, baggage: 'request_id=r-7,session=secret' }
      await deliver(channel, { name: 'render', headers }, () => log().info('inside'))
      const span = await spans.waitFor('taskiq.render')
      expect(span.attributes.request_id).toBe('r-7')
      const [line] = await logs.waitFor('inside', 1)
      expect(line?.request_id).toBe('r-7')
      expect(JSON.stringify([span.attributes, logs.lines])).not.toContain('secret')
    })
  })
}
