// Every metric of the contract that belongs to a worker's own runs: its value, type and labels.
import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { compose, type Outcome, produce, reject, type TaskEvent, type TaskFields } from 'taskspan'
import { type MetricsOptions, metrics, render } from 'taskspan/metrics'
import { recordMetrics, recordSpans } from 'taskspan/testing'
import { tracing } from 'taskspan/tracing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createTask } from '../../src/kernel/create-task.ts'
import { setIdentity } from '../../src/kernel/identity.ts'
import { type Family, parse } from '../support/exposition.ts'
import { faultsOf } from '../support/faults.ts'
import { gate, type Run, runner, taskOf, turns } from '../support/run.ts'

const fail = (error: unknown) => (): never => {
  throw error
}
const swallowed = { settle: () => {} }

function measuring(options: MetricsOptions = {}) {
  const recorded = recordMetrics(options.registry)
  const m = metrics({ registry: recorded.registry, ...options })
  const run: Run = runner(m, swallowed)
  const families = async () => parse((await render(recorded.registry)).body, 'classic')
  const family = async (name: string): Promise<Family> => {
    const found = (await families()).get(name)
    if (found === undefined) throw new Error(`no metric ${name}`)
    return found
  }
  /** The one value, after a check that its labels are these and no others. */
  const only = async (name: string, labels: Record<string, string>, sample = name) => {
    const samples = (await family(name)).samples.filter((given) => given.name === sample)
    expect(samples.map((given) => given.labels)).toEqual([labels])
    return samples[0]?.value
  }
  return { ...recorded, m, run, families, family, only }
}

const RENDER = { queue: 'clips', task_name: 'render' } as const

describe('tasks', () => {
  it.each<[Outcome, () => unknown, (() => Outcome) | undefined, 'ok' | 'error']>([
    ['success', () => 'done', undefined, 'ok'],
    ['failure', fail(new RangeError('x')), undefined, 'error'],
    ['retry', fail(new RangeError('x')), () => 'retry', 'error'],
    ['deferred', fail(new RangeError('x')), () => 'deferred', 'error'],
    ['rejected', fail(reject('expired')), undefined, 'error'],
  ])('%s: counted by outcome, timed by result', async (outcome, handler, judge, result) => {
    const { m, only, family } = measuring()
    await runner(m, { ...swallowed, ...(judge && { judge }) })({}, handler)
    expect(await only('taskiq_tasks_total', { ...RENDER, task_type: 'on_demand', outcome })).toBe(1)
    const labels = { ...RENDER, task_type: 'on_demand', result }
    expect(await only('taskiq_tasks_duration_seconds', labels, 'taskiq_tasks_duration_seconds_count')).toBe(1)
    const failures = (await family('taskiq_task_failures_total')).samples
    expect(failures.map(({ labels, value }) => [labels.error_type, value])).toEqual(
      outcome === 'failure' ? [['RangeError', 1]] : [],
    )
  })

  it('cancelled: counted by outcome', async () => {
    const { run, only } = measuring()
    await run({}, fail(new Error('stopped')), AbortSignal.abort())
    expect(await only('taskiq_tasks_total', { ...RENDER, task_type: 'on_demand', outcome: 'cancelled' })).toBe(1)
  })

  it('are timed in seconds', async () => {
    const { run, only } = measuring()
    await run({}, () => new Promise((resolve) => setTimeout(resolve, 30)))
    const labels = { ...RENDER, task_type: 'on_demand', result: 'ok' }
    const seconds = await only('taskiq_tasks_duration_seconds', labels, 'taskiq_tasks_duration_seconds_sum')
    expect(seconds).toBeGreaterThanOrEqual(0.029)
    expect(seconds).toBeLessThan(1)
  })

  it('have their wait observed once it is known, in seconds', async () => {
    const { run, only, value } = measuring()
    await run({ waitMs: 1_500 })
    await run({})
    await run({ waitMs: -20 })
    expect(await only('taskiq_task_wait_seconds', { ...RENDER }, 'taskiq_task_wait_seconds_count')).toBe(2)
    expect(await value('taskiq_task_wait_seconds_sum')).toBe(1.5)
    expect(await value('taskiq_task_wait_seconds_bucket', { le: 1 })).toBe(1)
    expect(await value('taskiq_task_wait_seconds_bucket', { le: 2.5 })).toBe(2)
  })

  it('are in progress while they run, and the oldest has an age', async () => {
    const { run, only, m } = measuring()
    const held = gate()
    const running = [run({ id: '1' }, () => held.opened), run({ id: '2' }, () => held.opened)]
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(await only('taskiq_tasks_in_progress', { ...RENDER })).toBe(2)
    expect(await only('taskiq_task_oldest_running_seconds', { queue: 'clips' })).toBeGreaterThanOrEqual(0.019)
    expect([...m.running].map(({ id }) => id)).toEqual(['1', '2'])
    held.open()
    await Promise.all(running)
    expect(await only('taskiq_tasks_in_progress', { ...RENDER })).toBe(0)
    expect(m.running.size).toBe(0)
  })

  it('have no oldest when none runs', async () => {
    const { run, family } = measuring()
    const held = gate()
    const running = run({}, () => held.opened)
    expect((await family('taskiq_task_oldest_running_seconds')).samples).toHaveLength(1)
    held.open()
    await running
    expect((await family('taskiq_task_oldest_running_seconds')).samples).toEqual([])
  })

  it('that were lost count as tasks, as failures and by themselves', async () => {
    const { run, m, value } = measuring()
    await run({ lost: 2 })
    const lost: TaskEvent = { kind: 'lost', task: await taskOf(), final: true }
    m.notice?.(lost)
    expect(await value('taskiq_tasks_total', { ...RENDER, outcome: 'lost' })).toBe(3)
    expect(await value('taskiq_task_failures_total', { ...RENDER, error_type: 'Lost' })).toBe(3)
    expect(await value('taskiq_tasks_lost_total', { ...RENDER })).toBe(3)
    expect(await value('taskiq_tasks_total', { ...RENDER, outcome: 'success' })).toBe(1)
    expect(await value('taskiq_tasks_duration_seconds_count'), 'their time is not known').toBe(1)
  })

  it('that claim a billion lost attempts cost no more than one', async () => {
    const { run, value } = measuring()
    const start = performance.now()
    await run({ lost: 1e9 })
    expect(performance.now() - start).toBeLessThan(200)
    expect(await value('taskiq_tasks_lost_total')).toBe(1e9)
  })

  it('that failed without a run, or after a retry was predicted, are failures', async () => {
    const { m, value } = measuring()
    const task = await taskOf()
    m.notice?.({ kind: 'failed', task, error: new RangeError('x') })
    m.notice?.({ kind: 'gave_up', task, error: new TypeError('x') })
    expect(await value('taskiq_tasks_total', { outcome: 'failure' })).toBe(1)
    expect(await value('taskiq_task_failures_total', { error_type: 'RangeError' })).toBe(1)
    expect(await value('taskiq_task_failures_total', { error_type: 'TypeError' })).toBe(1)
  })
})

describe('messages and brokers', () => {
  it('sent, by queue and task name; a batch counts as what it holds', async () => {
    const { m, value } = measuring()
    produce('memory', m, { name: 'render', queue: 'clips' }, () => true)
    produce(
      'memory',
      m,
      { name: 'render', queue: 'clips', attributes: { 'messaging.batch.message_count': 5 } },
      () => 1,
    )
    await turns()
    expect(await value('taskiq_messages_sent_total', { ...RENDER })).toBe(6)
    expect(await value('taskiq_tasks_total')).toBeUndefined()
  })

  it('rejected, by reason', async () => {
    const { run, only, value } = measuring()
    await run({}, fail(reject('malformed')))
    expect(await only('taskiq_messages_rejected_total', { queue: 'clips', reason: 'malformed' })).toBe(1)
    await run({}, fail(reject('what the payload says' as never)))
    expect(await value('taskiq_messages_rejected_total', { reason: 'other' })).toBe(1)
  })

  it('events and dead letters, by queue', async () => {
    const { m, only } = measuring()
    m.notice?.({ kind: 'broker', system: 'memory', queue: 'clips', event: 'consumer_cancelled' })
    m.notice?.({ kind: 'dead_lettered', queue: 'clips' })
    const labels = { queue: 'clips', event: 'consumer_cancelled' }
    expect(await only('taskiq_broker_events_total', labels)).toBe(1)
    expect(await only('taskiq_messages_dead_lettered_total', { queue: 'clips' })).toBe(1)
  })
})

describe('schedules', () => {
  const schedule = { id: 'nightly', driftMs: 250, intervalMs: 86_400_000, nextTime: 1_800_000_000_000 }
  const SCHEDULE = { schedule: 'nightly' }

  it('show their drift, last success, next run and interval, in seconds', async () => {
    const { run, only, value } = measuring()
    const before = Date.now() / 1000
    await run({ type: 'cron', schedule })
    expect(await value('taskiq_cron_drift_seconds_sum', SCHEDULE)).toBe(0.25)
    const last = await only('taskiq_cron_last_success_timestamp_seconds', SCHEDULE)
    expect(last).toBeGreaterThanOrEqual(before)
    expect(last).toBeLessThanOrEqual(Date.now() / 1000)
    expect(await only('taskiq_cron_next_run_timestamp_seconds', SCHEDULE)).toBe(1_800_000_000)
    expect(await only('taskiq_cron_interval_seconds', SCHEDULE)).toBe(86_400)
  })

  it('keep their last success when a run fails, and still show the next', async () => {
    const { run, value } = measuring()
    await run({ type: 'cron', schedule }, fail(new Error('no')))
    expect(await value('taskiq_cron_last_success_timestamp_seconds')).toBeUndefined()
    expect(await value('taskiq_cron_next_run_timestamp_seconds')).toBe(1_800_000_000)
  })

  it('show what is not known as nothing', async () => {
    const { run, families } = measuring()
    await run({ type: 'cron', schedule: { id: 'nightly' } })
    const known = [...(await families()).values()].filter(
      ({ name, samples }) => /cron/.test(name) && samples.length > 0,
    )
    expect(known.map(({ name }) => name)).toEqual(['taskiq_cron_last_success_timestamp_seconds'])
  })

  it('are there before their first run, and count runs that were missed or overlapped', async () => {
    const { m, only } = measuring()
    m.notice?.({ kind: 'planned', schedule })
    m.notice?.({ kind: 'schedule', event: 'missed', schedule: 'nightly', count: 3 })
    m.notice?.({ kind: 'schedule', event: 'overlapped', schedule: 'nightly', count: 1 })
    expect(await only('taskiq_cron_next_run_timestamp_seconds', SCHEDULE)).toBe(1_800_000_000)
    expect(await only('taskiq_cron_missed_total', SCHEDULE)).toBe(3)
    expect(await only('taskiq_cron_overlaps_total', SCHEDULE)).toBe(1)
  })
})

describe('pipelines and steps', () => {
  async function ran(kind: 'pipeline' | 'step', fields: TaskFields, outcome: Outcome, endDetails?: object) {
    const recorded = measuring()
    const task = createTask(kind, fields, { judge: () => outcome })
    await recorded
      .m(task, async () => {
        task.endDetails = endDetails as never
        if (outcome !== 'success') throw new Error('no')
      })
      .catch(() => {})
    return recorded
  }

  it.each<[Outcome, 'ok' | 'error']>([
    ['success', 'ok'],
    ['failure', 'error'],
    ['timeout', 'error'],
  ])('count and time a step: %s', async (outcome, result) => {
    const { only, value } = await ran('step', { name: 'download', queue: 'analysis' }, outcome)
    const labels = { pipeline: 'analysis', step: 'download' }
    expect(await only('taskiq_steps_total', { ...labels, outcome })).toBe(1)
    const name = 'taskiq_step_duration_seconds'
    expect(await only(name, { ...labels, result }, `${name}_count`)).toBe(1)
    expect(await value('taskiq_tasks_total'), 'a step is no task').toBeUndefined()
  })

  it('count and time a pipeline and its critical path', async () => {
    const fields = { name: 'analysis', queue: 'analysis' }
    const { only, value } = await ran('pipeline', fields, 'failure', { 'pipeline.critical_path_ms': 1_250 })
    expect(await only('taskiq_pipelines_total', { pipeline: 'analysis', outcome: 'failure' })).toBe(1)
    const labels = { pipeline: 'analysis', result: 'error' }
    for (const name of ['taskiq_pipeline_duration_seconds', 'taskiq_pipeline_critical_path_seconds']) {
      expect(await only(name, labels, `${name}_count`)).toBe(1)
    }
    expect(await value('taskiq_pipeline_critical_path_seconds_sum')).toBe(1.25)
  })
})

describe('the worker and its telemetry', () => {
  it('says who it is, once start() has said so', async () => {
    const { family, only } = measuring()
    expect((await family('taskiq_worker_info')).samples).toEqual([])
    setIdentity({ app: 'shop', worker: 'render', service: 'shop-render', version: '1.2.3', environment: 'production' })
    onTestFinished(() => setIdentity(undefined as never))
    const labels = { app: 'shop', worker: 'render', version: '1.2.3', environment: 'production' }
    expect(await only('taskiq_worker_info', { ...labels, service_name: 'shop-render' })).toBe(1)
  })

  it('counts its own faults', async () => {
    const { registry, value } = measuring()
    const m = metrics({ registry, prefix: 'jobs', labels: { tier: fail(new Error('no')) } })
    const before = (await value('taskiq_telemetry_errors_total', { part: 'metrics', reason: 'labels' })) ?? 0
    await runner(m)()
    const after = (await value('taskiq_telemetry_errors_total', { part: 'metrics', reason: 'labels' })) ?? 0
    expect(after).toBeGreaterThan(before)
  })
})

it('has the types that the contract says', async () => {
  const types = Object.fromEntries([...(await measuring().families())].map(([name, { type }]) => [name, type]))
  expect(types).toMatchObject({
    taskiq_tasks_total: 'counter',
    taskiq_tasks_duration_seconds: 'histogram',
    taskiq_task_wait_seconds: 'histogram',
    taskiq_task_failures_total: 'counter',
    taskiq_tasks_in_progress: 'gauge',
    taskiq_task_oldest_running_seconds: 'gauge',
    taskiq_tasks_lost_total: 'counter',
    taskiq_messages_sent_total: 'counter',
    taskiq_messages_rejected_total: 'counter',
    taskiq_broker_events_total: 'counter',
    taskiq_messages_dead_lettered_total: 'counter',
    taskiq_cron_last_success_timestamp_seconds: 'gauge',
    taskiq_cron_next_run_timestamp_seconds: 'gauge',
    taskiq_cron_interval_seconds: 'gauge',
    taskiq_cron_drift_seconds: 'histogram',
    taskiq_cron_missed_total: 'counter',
    taskiq_cron_overlaps_total: 'counter',
    taskiq_pipeline_duration_seconds: 'histogram',
    taskiq_pipeline_critical_path_seconds: 'histogram',
    taskiq_pipelines_total: 'counter',
    taskiq_steps_total: 'counter',
    taskiq_step_duration_seconds: 'histogram',
    taskiq_worker_info: 'gauge',
    taskiq_telemetry_errors_total: 'counter',
    taskiq_label_overflow_total: 'counter',
  })
})

it('has default buckets from 5 ms, and 50 ms for waits, to 4 h', async () => {
  const { run, series } = measuring()
  await run({ waitMs: 1, schedule: { id: 's', driftMs: 1 } })
  const bounds = async (name: string) => (await series(`${name}_bucket`)).map(({ labels }) => labels.le)
  const duration = await bounds('taskiq_tasks_duration_seconds')
  expect([duration[0], duration.at(-2), duration.at(-1)]).toEqual([0.005, 14_400, '+Inf'])
  for (const name of ['taskiq_task_wait_seconds', 'taskiq_cron_drift_seconds']) {
    const wait = await bounds(name)
    expect([wait[0], wait.at(-2), wait.at(-1)]).toEqual([0.05, 14_400, '+Inf'])
  }
})

describe('exemplars', () => {
  it('point from durations and failures to the task’s span, when it is sampled', async () => {
    await using spans = recordSpans()
    const { registry, series } = measuring()
    const m = metrics({ registry })
    const run = runner(compose(tracing(), m), swallowed)
    await run({}, fail(new RangeError('x')))
    const { traceId, spanId } = spans.one('taskiq.render')
    const mark = { trace_id: traceId, span_id: spanId }
    const marked = async (name: string) =>
      (await series(name)).map(({ exemplar }) => exemplar).filter((mark) => mark !== undefined)
    expect(await marked('taskiq_tasks_duration_seconds_bucket')).toEqual([mark])
    expect(await marked('taskiq_task_failures_total')).toEqual([mark])
    expect(await marked('taskiq_tasks_total')).toEqual([])

    const { body } = await render(registry, 'application/openmetrics-text')
    const samples = [...parse(body, 'openmetrics').values()].flatMap((family) => family.samples)
    const withMark = samples.filter(({ exemplar }) => exemplar !== undefined)
    expect(withMark.map(({ name, exemplar }) => [name, exemplar?.labels])).toEqual([
      ['taskiq_tasks_duration_seconds_bucket', mark],
      ['taskiq_task_failures_total', mark],
    ])
    const bucket = withMark[0]
    expect(bucket?.exemplar?.value, 'the exemplar lies in its bucket').toBeLessThanOrEqual(Number(bucket?.labels.le))
  })

  it('are none without a sampled span, and none that is left from before a reset', async () => {
    const { registry, run, m } = measuring()
    await run({}, fail(new Error('x')))
    await using spans = recordSpans()
    await runner(compose(tracing(), m))({ carrier: { traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00` } })
    expect(spans.spans).toEqual([])
    expect((await render(registry, 'application/openmetrics-text')).body).not.toContain(' # {')
    await runner(compose(tracing(), m))()
    expect((await render(registry, 'application/openmetrics-text')).body).toContain(' # {')
    registry.resetMetrics()
    await run({})
    expect((await render(registry, 'application/openmetrics-text')).body).not.toContain(' # {')
  })
})

it('counts a task though the context manager throws when it is asked for the span', async () => {
  const real = new AsyncLocalStorageContextManager()
  context.setGlobalContextManager(Object.assign(real, { active: fail(new Error('no context')) }))
  onTestFinished(() => context.disable())
  const faults = faultsOf('metrics', 'exemplar')
  const { run, only } = measuring()
  await run({}, fail(new RangeError('x')))
  expect(await only('taskiq_tasks_total', { ...RENDER, task_type: 'on_demand', outcome: 'failure' })).toBe(1)
  expect(await only('taskiq_tasks_in_progress', { ...RENDER })).toBe(0)
  expect(faults()).toBe(1)
})
