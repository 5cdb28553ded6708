// A cron run as a task: its span, its series, its log lines, and how it overlaps.
import { trace } from '@opentelemetry/api'
import { cron } from 'taskspan/cron'
import { log } from 'taskspan/logging'
import { describe, expect, it } from 'vitest'

import { record } from '../support/record.ts'
import { gate } from '../support/run.ts'

class SweepError extends Error {
  override name = 'SweepError'
}

const failing = async (): Promise<never> => {
  throw new SweepError('disk full')
}

describe('a run', () => {
  it('is an internal span at the root of a trace, named after the tick, of type cron', async () => {
    const { spans, t } = await record()
    await cron(t)('cleanup', () => {})()
    expect(spans.one('taskiq.cleanup')).toMatchObject({
      kind: 'internal',
      status: 'unset',
      parentSpanId: undefined,
      links: [],
      events: [],
    })
    expect(spans.one('taskiq.cleanup').attributes).toEqual({
      task_type: 'cron',
      'taskiq.task.name': 'cleanup',
      'taskiq.attempt': 1,
      'taskiq.schedule.id': 'cleanup',
      'taskiq.outcome': 'success',
    })
  })

  it('has a trace of its own, also when ten of them overlap', async () => {
    const { spans, t } = await record()
    const run = cron(t)('cleanup', async () => {
      await new Promise(setImmediate)
      trace.getTracer('app').startSpan('DELETE').end()
    })
    await Promise.all(Array.from({ length: 10 }, () => run()))
    const traces = new Set(spans.named('taskiq.cleanup').map((span) => span.traceId))
    expect(traces.size).toBe(10)
    expect(spans.named('DELETE').map((span) => span.parent?.name)).toEqual(Array(10).fill('taskiq.cleanup'))
    expect(new Set(spans.named('DELETE').map((span) => span.traceId))).toEqual(traces)
  })

  it('is counted and timed under the queue cron, with its trace as the exemplar', async () => {
    const { spans, metrics, t } = await record()
    const labels = { queue: 'cron', task_name: 'cleanup' }
    await cron(t)('cleanup', async () => {
      expect(await metrics.series('taskiq_tasks_in_progress')).toEqual([{ labels, value: 1 }])
    })()
    const typed = { ...labels, task_type: 'cron' }
    expect(await metrics.series('taskiq_tasks_total')).toEqual([{ labels: { ...typed, outcome: 'success' }, value: 1 }])
    expect(await metrics.series('taskiq_tasks_duration_seconds_count')).toEqual([
      { labels: { ...typed, result: 'ok' }, value: 1 },
    ])
    const buckets = await metrics.series('taskiq_tasks_duration_seconds_bucket')
    const { traceId, spanId } = spans.one('taskiq.cleanup')
    expect(buckets.find(({ exemplar }) => exemplar)?.exemplar).toEqual({ trace_id: traceId, span_id: spanId })
    expect(await metrics.value('taskiq_task_wait_seconds_count')).toBeUndefined()
  })

  it('writes its lines with task, type, queue, schedule and trace, and so does log() inside', async () => {
    const { spans, logs, t } = await record()
    await cron(t)('cleanup', () => log().info({ rows: 3 }, 'removed'))()
    const { traceId: trace_id, spanId: span_id } = spans.one('taskiq.cleanup')
    const fields = {
      ...{ trace_id, span_id, task_name: 'cleanup', task_type: 'cron', queue: 'cron', attempt: 1 },
      schedule_id: 'cleanup',
    }
    expect(logs.lines).toMatchObject([
      { message: 'task.started', level: 'debug', ...fields },
      { message: 'removed', level: 'info', rows: 3, ...fields },
      { message: 'task.succeeded', level: 'info', outcome: 'success', duration_ms: expect.any(Number), ...fields },
    ])
  })

  it('remembers when the schedule last succeeded, not when it last failed', async () => {
    const { metrics, t } = await record()
    const tick = cron(t)
    await tick('broken', failing)().catch(() => {})
    expect(await metrics.series('taskiq_cron_last_success_timestamp_seconds')).toEqual([])
    const before = Date.now() / 1000
    await tick('cleanup', () => {})()
    const [series] = await metrics.series('taskiq_cron_last_success_timestamp_seconds')
    expect(series?.labels).toEqual({ schedule: 'cleanup' })
    expect(series?.value).toBeGreaterThanOrEqual(before)
    expect(series?.value).toBeLessThanOrEqual(Date.now() / 1000)
  })

  it('that throws ends as a failure, with the exception once', async () => {
    const { spans, metrics, logs, t } = await record()
    await expect(cron(t)('cleanup', failing)()).rejects.toThrow(SweepError)
    const span = spans.one('taskiq.cleanup')
    expect(span).toMatchObject({ status: 'error', statusMessage: 'disk full' })
    expect(span.events.map((event) => event.name)).toEqual(['exception'])
    expect(span.attributes).toMatchObject({
      'taskiq.outcome': 'failure',
      'taskiq.will_retry': false,
      'error.type': 'SweepError',
    })
    expect((await metrics.series('taskiq_task_failures_total'))[0]?.labels).toEqual({
      ...{ queue: 'cron', task_name: 'cleanup', task_type: 'cron', error_type: 'SweepError' },
    })
    expect(logs.named('task.failed')).toMatchObject([{ level: 'error', error: { type: 'SweepError' } }])
  })

  it('that overlaps another of its schedule is counted and reported, and runs all the same', async () => {
    const { spans, metrics, logs, t } = await record()
    const { open, opened } = gate()
    const run = cron(t)('cleanup', () => opened)
    const runs = [run(), run(), run()]
    open()
    await Promise.all(runs)
    await run() // all have ended: no overlap
    expect(spans.named('taskiq.cleanup')).toHaveLength(4)
    expect(await metrics.series('taskiq_cron_overlaps_total')).toEqual([{ labels: { schedule: 'cleanup' }, value: 2 }])
    expect(logs.named('cron.overlapped')).toMatchObject(
      Array(2).fill({ level: 'warning', schedule_id: 'cleanup', count: 1 }),
    )
  })

  it('no longer overlaps once the other one has failed', async () => {
    const { metrics, t } = await record()
    const run = cron(t)('cleanup', failing)
    await run().catch(() => {})
    await run().catch(() => {})
    expect(await metrics.value('taskiq_cron_overlaps_total')).toBeUndefined()
  })

  it('shares its series with another tick of the same name, without overlapping it', async () => {
    const { metrics, t } = await record()
    const tick = cron(t)
    const { open, opened } = gate()
    const runs = [tick('cleanup', () => opened)(), cron(t)('cleanup', () => opened)()]
    open()
    await Promise.all(runs)
    expect(await metrics.series('taskiq_tasks_total')).toMatchObject([{ labels: { task_name: 'cleanup' }, value: 2 }])
    expect(await metrics.series('taskiq_cron_last_success_timestamp_seconds')).toHaveLength(1)
    expect(await metrics.value('taskiq_cron_overlaps_total')).toBeUndefined()
  })
})
