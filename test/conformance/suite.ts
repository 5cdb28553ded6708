// One suite that every adapter passes: `conformance(harness)` in a test file of its own.
import { context, diag, propagation, trace } from '@opentelemetry/api'
import { compose, currentTask, type Middleware, type Outcome, reject } from 'taskspan'
import { bind, log } from 'taskspan/logging'
import { describe, expect, it, onTestFinished } from 'vitest'
import { record } from '../support/record.ts'
import { HOSTILE, OVERSIZED, SENDER } from './carriers.ts'
import { FAULTY, FAULTY_ON_FAILURE } from './faulty.ts'
import type { Channel, Delivery, Fate, Harness, Message } from './harness.ts'

/** How a handler ends, and what must be said of it. */
interface Ending {
  readonly outcome: Outcome
  readonly end: (delivery: Delivery) => unknown
  readonly attempts?: number
  readonly status: 'unset' | 'error'
  readonly line: string
  readonly level: string
  readonly fate: Fate | undefined
}

class PaymentError extends Error {
  override name = 'PaymentError'
}

const failing = (): never => {
  throw new PaymentError('no funds')
}

const ENDINGS: readonly Ending[] = [
  { outcome: 'success', end: () => 'sent', status: 'unset', line: 'task.succeeded', level: 'info', fate: 'done' },
  { outcome: 'failure', end: failing, status: 'error', line: 'task.failed', level: 'error', fate: 'given_up' },
  {
    outcome: 'retry',
    end: failing,
    attempts: 2,
    status: 'error',
    line: 'task.retrying',
    level: 'warning',
    fate: 'again',
  },
  {
    outcome: 'rejected',
    end: () => {
      throw reject('malformed')
    },
    attempts: 2,
    status: 'unset',
    line: 'message.rejected',
    level: 'warning',
    fate: 'given_up',
  },
  {
    outcome: 'cancelled',
    end(delivery) {
      delivery.cancel?.()
      throw new Error('stopped by the signal')
    },
    status: 'unset',
    line: 'task.cancelled',
    level: 'info',
    fate: 'given_up',
  },
  {
    outcome: 'deferred',
    async end(delivery) {
      throw await delivery.defer?.()
    },
    status: 'unset',
    line: 'task.deferred',
    level: 'info',
    fate: undefined,
  },
]

export function conformance(harness: Harness): void {
  /** Opens a queue that is closed again when the test ends. */
  async function open(...middleware: Middleware[]): Promise<Channel> {
    const channel = await harness.open(compose(...middleware))
    onTestFinished(() => channel.close())
    return channel
  }

  /** One message through telemetry and a handler, until the broker was told how `deliveries` of it ended. */
  async function deliver(
    channel: Channel,
    message: Message,
    handler: (delivery: Delivery) => unknown,
    deliveries = 1,
  ): Promise<Fate[]> {
    await channel.consume(handler)
    const settled = channel.settled(deliveries)
    await channel.publish(message)
    return settled
  }

  const endings = ENDINGS.filter(
    ({ outcome }) => (outcome !== 'deferred' || harness.defers) && (outcome !== 'cancelled' || harness.cancels),
  )

  describe(`${harness.title}: how a task ended`, () => {
    it.each(endings)('$outcome is said alike by span, metrics and log', async (ending) => {
      const { outcome, end, attempts, status, line, level, fate } = ending
      const { t, spans, metrics, logs } = await record()
      const channel = await open(t)
      const fates = await deliver(
        channel,
        { name: 'pay', attempts },
        (delivery) => (currentTask()?.attempt === 1 ? end(delivery) : 'second time'),
        fate === undefined ? 0 : fate === 'again' ? 2 : 1,
      )
      expect(fates[0]).toBe(fate)

      const [span] = await spans.waitFor('taskiq.pay', 1)
      expect(span).toMatchObject({ status, attributes: { 'taskiq.outcome': outcome } })
      const failed = outcome === 'failure' || outcome === 'retry'
      expect(span?.attributes['taskiq.will_retry']).toBe(outcome === 'success' ? undefined : outcome === 'retry')
      expect(span?.attributes['error.type']).toBe(failed ? 'PaymentError' : undefined)
      expect(span?.events.map(({ name, attributes }) => [name, attributes['exception.type']])).toEqual(
        failed ? [['exception', 'PaymentError']] : [],
      )

      const { queue } = channel
      const labels = { queue, task_name: 'pay', task_type: 'on_demand' }
      const result = outcome === 'success' ? 'ok' : 'error'
      await logs.waitFor(line)
      expect(await metrics.series('taskiq_tasks_total', { ...labels, outcome })).toMatchObject([{ value: 1 }])
      expect(await metrics.value('taskiq_tasks_duration_seconds_count', { ...labels, result })).toBe(1)
      expect(await metrics.value('taskiq_task_failures_total', { ...labels, error_type: 'PaymentError' })).toBe(
        outcome === 'failure' ? 1 : undefined,
      )
      expect(await metrics.value('taskiq_messages_rejected_total', { queue, reason: 'malformed' })).toBe(
        outcome === 'rejected' ? 1 : undefined,
      )
      expect(await metrics.value('taskiq_tasks_lost_total')).toBeUndefined()

      expect(logs.named(line)).toMatchObject([
        { level, outcome, queue, task_name: 'pay', trace_id: span?.traceId, span_id: span?.spanId },
      ])
      expect(logs.named(line)[0]?.error).toEqual(
        outcome === 'success' ? undefined : expect.objectContaining({ message: expect.any(String) }),
      )
    })

    it('retries are siblings under the same sender, told apart by the attempt', async () => {
      const { t, spans } = await record()
      const channel = await open(t)
      await channel.consume(() => (currentTask()?.attempt === 1 ? failing() : 'paid'))
      const settled = channel.settled(2)
      await channel.publish({ name: 'pay', attempts: 2, headers: { traceparent: SENDER.traceparent } })
      expect(await settled).toEqual(['again', 'done'])

      const attempts = await spans.waitFor('taskiq.pay', 2)
      expect(attempts.map(({ parentSpanId }) => parentSpanId)).toEqual([SENDER.spanId, SENDER.spanId])
      expect(attempts.map(({ attributes }) => [attributes['taskiq.attempt'], attributes['taskiq.outcome']])).toEqual([
        [1, 'retry'],
        [2, 'success'],
      ])
      expect(attempts[1]?.attributes['messaging.message.retry.count']).toBe(1)
    })

    it('the last attempt that throws is a failure', async () => {
      const { t, spans } = await record()
      const channel = await open(t)
      await channel.consume(failing)
      const settled = channel.settled(2)
      await channel.publish({ name: 'pay', attempts: 2 })
      expect(await settled).toEqual(['again', 'given_up'])
      const attempts = await spans.waitFor('taskiq.pay', 2)
      expect(attempts.map(({ attributes }) => attributes['taskiq.outcome'])).toEqual(['retry', 'failure'])
    })
  })

  describe(`${harness.title}: the span`, () => {
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
        'messaging.system': harness.system,
        'messaging.operation.name': 'process',
        'messaging.operation.type': 'process',
        'messaging.destination.name': channel.queue,
        ...harness.attributes,
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

  describe(`${harness.title}: what passes through`, () => {
    it.each([
      ['an object', { frames: 7 }],
      ['undefined', undefined],
      ['a promise of a list', Promise.resolve([1, 2])],
    ])('the very result: %s', async (_, result) => {
      let seen: unknown
      const outermost: Middleware = async (_, next) => {
        seen = await next()
        return seen
      }
      const { t } = await record()
      const channel = await open(outermost, t)
      expect(await deliver(channel, { name: 'render' }, () => result)).toEqual(['done'])
      expect(seen).toBe(await result)
    })

    it.each([
      ['an error', new PaymentError('no funds')],
      ['a frozen error', Object.freeze(new Error('frozen'))],
      ['an object', { status: 503 }],
      ['a string', 'no funds'],
    ])('the very thing that was thrown: %s, at once or from a promise', async (_, thrown) => {
      const seen: unknown[] = []
      const outermost: Middleware = async (_, next) => {
        try {
          return await next()
        } catch (error) {
          seen.push(error)
          throw error
        }
      }
      const { t } = await record()
      const channel = await open(outermost, t)
      await channel.consume(({ name }) => {
        if (name === 'at_once') throw thrown
        return Promise.reject(thrown)
      })
      const settled = channel.settled(2)
      await channel.publish({ name: 'at_once' })
      await channel.publish({ name: 'later' })
      expect(await settled).toEqual(['given_up', 'given_up'])
      expect(seen).toEqual([thrown, thrown])
      expect(seen.every((error) => error === thrown)).toBe(true)
    })

    it('settles last: the broker hears nothing before the whole onion has returned', async () => {
      const order: string[] = []
      const outermost: Middleware = async (_, next) => {
        try {
          return await next()
        } finally {
          order.push('next has returned')
          await new Promise((resolve) => setTimeout(resolve, 25)) // there is no event for what must not happen
          order.push('the onion has returned')
        }
      }
      const { t } = await record()
      for (const end of [() => 'done', failing]) {
        const channel = await open(outermost, t)
        order.length = 0
        await channel.consume(end)
        const settled = channel.settled(1).then(() => order.push('settled'))
        await channel.publish({ name: 'render' })
        await settled
        expect(order).toEqual(['next has returned', 'the onion has returned', 'settled'])
      }
    })
  })

  describe(`${harness.title}: where the trace comes from`, () => {
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

    it.each(harness.hostile)('$title: the task runs, and begins a trace', async ({ raw }) => {
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

  describe(`${harness.title}: a task runs exactly once and ends as it would, whatever throws`, () => {
    it.each(FAULTY)('$title', async ({ options, arrange, silent }) => {
      const { t, faults } = await record(options)
      onTestFinished(() => diag.disable())
      arrange?.()
      const seen: unknown[] = []
      const outermost: Middleware = async (task, next) => {
        try {
          const result = await next()
          seen.push([task.name, result])
          return result
        } catch (error) {
          seen.push([task.name, error])
          throw error
        }
      }
      const channel = await open(outermost, t)
      const runs: string[] = []
      const bad = new PaymentError('no funds')
      await channel.consume(async ({ name }) => {
        runs.push(name)
        await new Promise((resolve) => setImmediate(resolve))
        if (name === 'bad') throw bad
        return 'fine'
      })
      for (const [name, fate] of [
        ['good', 'done'],
        ['bad', 'given_up'],
      ] as const) {
        const settled = channel.settled(runs.length + 1)
        await channel.publish({ name, headers: { traceparent: SENDER.traceparent, baggage: 'request_id=r-7' } })
        expect((await settled).at(-1)).toBe(fate)
      }
      expect(runs).toEqual(['good', 'bad'])
      expect(seen).toEqual([
        ['good', 'fine'],
        ['bad', bad],
      ])
      if (!silent) expect(await faults()).toBeGreaterThanOrEqual(2)
    })

    it.each(FAULTY_ON_FAILURE)('$title', async ({ options }) => {
      const { t, faults } = await record(options)
      const channel = await open(t)
      let runs = 0
      const fates = await deliver(channel, { name: 'pay' }, () => {
        runs++
        failing()
      })
      expect([runs, fates]).toEqual([1, ['given_up']])
      await expect.poll(faults).toBe(1)
    })

    it('works without any SDK, and with spans, metrics and logs switched off one by one', async () => {
      for (const off of [{}, { tracing: false }, { metrics: false }, { logging: false }]) {
        const { t, spans } = await record(off)
        if (Object.keys(off).length === 0) await spans.close()
        const channel = await open(t)
        expect(await deliver(channel, { name: 'render' }, () => 'ran')).toEqual(['done'])
        await spans.close()
      }
    })
  })
}
