// What watch() sees of BullMQ's job schedulers, which the broker keeps: next and last runs, missed and overlapping ones.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Broker, openEmbedded } from '../../examples/demo/embedded.ts'
import { ended, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { type Backend, holdingWorker, watched } from './support.ts'

let embedded: Broker

beforeAll(async () => {
  embedded = await openEmbedded()
}, 90_000)
afterAll(() => embedded?.close())

const redis: Backend = { queue: openQueue, worker: openWorker }
const postgres: Backend = {
  queue: (name) => embedded.queue(name),
  worker: (name, processor, options) => embedded.worker(name, processor as never, { drainDelay: 1, ...options }),
}
const HOUR = 3_600_000

describe.each([
  ['Redis', redis],
  ['PostgreSQL', postgres],
])('on %s', (_, backend) => {
  test('tells when schedules run next and how far apart, from the first look', async () => {
    const queue = backend.queue(queueName())
    const [every, nightly] = [queueName('every'), queueName('nightly')]
    await queue.upsertJobScheduler(every, { every: HOUR }, { name: 'tick' })
    await queue.upsertJobScheduler(nightly, { pattern: '0 3 * * *', tz: 'UTC' }, { name: 'tick' })
    // From a Friday to a Monday, whose next run is a day later.
    const [workdays, saturday] = [queueName('workdays'), new Date('2040-01-07T00:00:00Z')]
    await queue.upsertJobScheduler(workdays, { pattern: '0 9 * * 1-5', tz: 'UTC', startDate: saturday })
    const { w, metrics } = await watched({ queues: [queue] })
    await w.sample()

    for (const { key, next } of await queue.getJobSchedulers()) {
      const labels = { schedule: key }
      expect(await metrics.value('taskiq_cron_next_run_timestamp_seconds', labels)).toBe((next ?? 0) / 1000)
    }
    expect(await metrics.value('taskiq_cron_interval_seconds', { schedule: every })).toBe(3_600)
    expect(await metrics.value('taskiq_cron_interval_seconds', { schedule: nightly })).toBe(86_400)
    expect(await metrics.value('taskiq_cron_interval_seconds', { schedule: workdays })).toBe(3 * 86_400)
    expect(await metrics.series('taskiq_cron_last_success_timestamp_seconds')).toEqual([])

    await queue.removeJobScheduler(every)
    await w.sample()
    expect(await metrics.value('taskiq_cron_next_run_timestamp_seconds', { schedule: every })).toBeUndefined()
    expect(await metrics.value('taskiq_cron_next_run_timestamp_seconds', { schedule: nightly })).toBeDefined()
  })

  test('finds the last success of a run that another process made, as long as the broker keeps it', async () => {
    const queue = backend.queue(queueName())
    const schedule = queueName('with:colons')
    await queue.upsertJobScheduler(schedule, { every: HOUR }, { name: 'tick' })
    const [run] = await ended(backend.worker(queue.name, async () => {}))
    const { w, metrics } = await watched({ queues: [queue] })
    await w.sample()

    const finishedOn = run?.job.finishedOn ?? 0
    expect(finishedOn).toBeGreaterThan(0)
    expect(await metrics.value('taskiq_cron_last_success_timestamp_seconds', { schedule })).toBe(finishedOn / 1000)
    expect(w.snapshot().schedules).toMatchObject([{ schedule, lastSuccess: finishedOn, intervalMs: HOUR, missed: 0 }])
  })

  test('a run that failed is no success', async () => {
    const queue = backend.queue(queueName())
    await queue.upsertJobScheduler(queueName('tick'), { every: HOUR }, { name: 'tick' })
    await ended(backend.worker(queue.name, () => Promise.reject(new Error('no'))))
    const { w, metrics } = await watched({ queues: [queue] })
    await w.sample()

    expect(await metrics.series('taskiq_cron_last_success_timestamp_seconds')).toEqual([])
  })

  test('counts the runs that are missed while no worker is there, once each', async () => {
    const queue = backend.queue(queueName())
    const schedule = queueName('tick')
    const { w, metrics, logs } = await watched({ queues: [queue] })
    const missed = async () => (await metrics.value('taskiq_cron_missed_total', { schedule })) ?? 0
    await queue.upsertJobScheduler(schedule, { every: 200 }, { name: 'tick' })
    await w.sample()
    expect(await missed()).toBe(0)

    await expect.poll(() => w.sample().then(missed), { timeout: 10_000 }).toBeGreaterThanOrEqual(2)
    expect(logs.named('cron.missed')[0]).toMatchObject({ level: 'warning', schedule_id: schedule })

    for (let times = 0; times < 5; times++) await w.sample()
    const [first] = await queue.getJobSchedulers()
    expect(await missed()).toBeLessThanOrEqual((Date.now() - (first?.next ?? 0)) / 200)

    // A worker takes the overdue run; those in between it never makes up for.
    const worker = backend.worker(queue.name, async () => {})
    await ended(worker, 3)
    await worker.close()
    const [last] = await queue.getJobSchedulers()
    const planned = ((last?.next ?? 0) - (first?.next ?? 0)) / 200
    const started = (last?.iterationCount ?? 0) - (first?.iterationCount ?? 0)
    await w.sample()
    expect(await missed()).toBe(planned - started)
  })

  test('counts a run that starts while the one before still runs', async () => {
    const queue = backend.queue(queueName())
    const schedule = queueName('tick')
    const { worker } = holdingWorker(backend, queue.name, { concurrency: 2 })
    const both = new Promise<void>((resolve) => {
      let started = 0
      worker.on('active', () => ++started === 2 && resolve())
    })
    await queue.upsertJobScheduler(schedule, { every: 300 }, { name: 'tick' })
    await both
    const { w, metrics, logs } = await watched({ queues: [queue] })
    await w.sample()
    await w.sample()

    expect(await metrics.value('taskiq_cron_overlaps_total', { schedule })).toBe(1)
    expect(logs.named('cron.overlapped')).toMatchObject([{ schedule_id: schedule, count: 1 }])
  })
})

test('counts missed runs of a cron expression', async () => {
  const queue = openQueue(queueName())
  const schedule = queueName('seconds')
  await queue.upsertJobScheduler(schedule, { pattern: '* * * * * *' }, { name: 'tick' })
  const { w, metrics } = await watched({ queues: [queue] })
  const missed = async () => (await metrics.value('taskiq_cron_missed_total', { schedule })) ?? 0

  await expect.poll(() => w.sample().then(missed), { interval: 200 }).toBeGreaterThanOrEqual(1)
})
