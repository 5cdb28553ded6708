// How a task ended, in one word: the same in span, metrics and log.
import { currentTask, type Outcome, reject } from 'taskspan'
import { describe, expect, it } from 'vitest'
import { record } from '../../support/record.ts'
import { SENDER } from '../carriers.ts'
import type { Delivery, Fate } from '../harness.ts'
import { type Bench, failing } from './bench.ts'

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

export function endings(bench: Bench): void {
  const { open, deliver, harness } = bench
  const possible = ENDINGS.filter(
    ({ outcome }) => (outcome !== 'deferred' || harness.defers) && (outcome !== 'cancelled' || harness.cancels),
  )

  describe(`${bench.title}: how a task ended`, () => {
    it.each(possible)('$outcome is said alike by span, metrics and log', async (ending) => {
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
}
