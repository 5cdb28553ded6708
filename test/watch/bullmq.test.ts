// What watch() sees of a BullMQ queue, on Redis and on PostgreSQL: counts, ages, priorities, and never by taking a job.
import type { Queue } from 'bullmq'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Broker, openEmbedded } from '../../examples/demo/embedded.ts'
import { emitted, ended, openFlow, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { type Backend, holdingWorker, watched } from './support.ts'

let embedded: Broker

// Building a database takes 3 to 11 s on a small machine, and longer on a busy one.
beforeAll(async () => {
  embedded = await openEmbedded()
}, 90_000)
afterAll(() => embedded?.close())

const redis: Backend = { queue: openQueue, worker: openWorker }
const postgres: Backend = {
  queue: (name) => embedded.queue(name),
  worker: (name, processor, options) => embedded.worker(name, processor as never, { drainDelay: 1, ...options }),
}

describe.each([
  ['Redis', redis],
  ['PostgreSQL', postgres],
])('on %s', (_, backend) => {
  const depth = (queue: Queue, state: string) => ['taskiq_queue_depth', { queue: queue.name, state }] as const

  test('counts jobs by state', async () => {
    const queue = backend.queue(queueName())
    const failing = backend.worker(queue.name, () => Promise.reject(new Error('no')))
    const failed = ended(failing)
    await queue.add('fails', {})
    await failed
    await failing.close()
    const { worker } = holdingWorker(backend, queue.name)
    const started = emitted(worker, 'active')
    await queue.add('runs', {})
    await started
    await queue.addBulk([
      { name: 'waits', data: {} },
      { name: 'waits', data: {} },
      { name: 'is_urgent', data: {}, opts: { priority: 2 } },
      { name: 'is_late', data: {}, opts: { delay: 60_000 } },
    ])
    const { w, metrics } = await watched({ queues: [queue] })
    await w.sample()

    const counts = { failed: 1, active: 1, waiting: 2, prioritized: 1, delayed: 1, waiting_children: 0, paused: 0 }
    for (const [state, count] of Object.entries(counts)) {
      expect(await metrics.value(...depth(queue, state)), state).toBe(count)
    }
    expect(w.snapshot().queues).toMatchObject([{ queue: queue.name, system: 'bullmq', stale: false, depth: counts }])
  })

  test('counts the waiting jobs of a paused queue as paused', async () => {
    const queue = backend.queue(queueName())
    await queue.add('waits', {})
    await queue.pause()
    const { w, metrics } = await watched({ queues: [queue] })
    await w.sample()

    expect(await metrics.value(...depth(queue, 'paused'))).toBe(1)
    expect(await metrics.value(...depth(queue, 'waiting'))).toBe(0)
    expect(await metrics.value('taskiq_queue_paused', { queue: queue.name })).toBe(1)

    await queue.resume()
    await w.sample()
    expect(await metrics.value(...depth(queue, 'waiting'))).toBe(1)
    expect(await metrics.value('taskiq_queue_paused', { queue: queue.name })).toBe(0)
  })

  test('counts the priorities that it was given, and no others', async () => {
    const queue = backend.queue(queueName())
    await queue.addBulk([1, 1, 5, 9].map((priority) => ({ name: 'waits', data: {}, opts: { priority } })))
    const { w, metrics } = await watched({ queues: [queue], priorities: [1, 5, 7] })
    await w.sample()

    const series = await metrics.series('taskiq_queue_priority_depth', { queue: queue.name })
    expect(Object.fromEntries(series.map(({ labels, value }) => [labels.priority, value]))).toEqual({
      1: 2,
      5: 1,
      7: 0,
    })
  })

  test('tells the age of the next job, and nothing of an empty queue', async () => {
    const queue = backend.queue(queueName())
    const { w, metrics } = await watched({ queues: [queue] })
    const age = () => metrics.value('taskiq_queue_oldest_age_seconds', { queue: queue.name })
    await w.sample()
    expect(await age()).toBeUndefined()

    const hourAgo = Date.now() - 3_600_000
    for (const minutes of [0, 10, 20]) {
      await queue.add('waits', {}, { timestamp: hourAgo + minutes * 60_000 })
    }
    await w.sample()
    expect(await age()).toBeCloseTo(3_600, -1)

    const worker = backend.worker(queue.name, async () => {})
    await ended(worker, 3)
    await worker.pause()
    await w.sample()
    expect(await age()).toBeUndefined()
  })

  test('leaves a deliberate delay out of the age, also of a job that no worker has made ready yet', async () => {
    const queue = backend.queue(queueName())
    await queue.add('late', {}, { timestamp: Date.now() - 65_000, delay: 60_000 })
    const { w, metrics } = await watched({ queues: [queue] })
    await w.sample()

    const age = await metrics.value('taskiq_queue_oldest_age_seconds', { queue: queue.name })
    expect(age).toBeGreaterThanOrEqual(5)
    expect(age).toBeLessThan(30)
  })

  test('takes the age of a tick of a schedule from its planned time', async () => {
    const queue = backend.queue(queueName())
    await queue.upsertJobScheduler('tick', { every: 3_600_000 }, { name: 'tick' })
    const { w, metrics } = await watched({ queues: [queue] })
    await w.sample()

    expect(await metrics.value('taskiq_queue_oldest_age_seconds', { queue: queue.name })).toBeLessThan(30)
  })

  test('counts the age of a retried job from when it was first seen waiting again', async () => {
    const queue = backend.queue(queueName())
    const worker = backend.worker(queue.name, async () => {
      await queue.pause() // so that it waits for its second attempt
      throw new Error('no')
    })
    const failed = ended(worker)
    await queue.add('retried', {}, { attempts: 3, timestamp: Date.now() - 3_600_000 })
    await failed
    const { w, metrics } = await watched({ queues: [queue] })
    await w.sample()

    expect(await metrics.value(...depth(queue, 'paused'))).toBe(1)
    expect(await metrics.value('taskiq_queue_oldest_age_seconds', { queue: queue.name })).toBeLessThan(60)
  })

  test('looks without taking, changing or removing anything', async () => {
    const queue = backend.queue(queueName())
    const job = await queue.add('waits', { kept: true })
    await queue.add('urgent', {}, { priority: 3 })
    await queue.upsertJobScheduler('tick', { every: 3_600_000 }, { name: 'tick' })
    const state = async () => [
      await queue.getJobCounts(),
      (await queue.getJobs()).map(({ id, attemptsStarted, processedOn }) => [id, attemptsStarted, processedOn]),
      await queue.getJobSchedulers(),
    ]
    const before = await state()
    const { w } = await watched({ queues: [queue], priorities: [3] })
    for (let times = 0; times < 3; times++) await w.sample()

    expect(await state()).toEqual(before)
    expect(await job.getState()).toBe('waiting')
  })
})

test('counts the workers that are connected to a queue on Redis', async () => {
  const queue = openQueue(queueName())
  const other = openQueue(queueName())
  const workers = [openWorker(queue.name, null), openWorker(queue.name, null, { name: 'second' })]
  await Promise.all(workers.map((worker) => worker.waitUntilReady()))
  const { w, metrics } = await watched({ queues: [queue, other] })
  await w.sample()

  expect(await metrics.value('taskiq_queue_consumers', { queue: queue.name })).toBe(2)
  expect(await metrics.value('taskiq_queue_consumers', { queue: other.name })).toBe(0)
})

test('says nothing of consumers where one session stands for all', async () => {
  const queue = postgres.queue(queueName())
  await postgres.worker(queue.name, null).waitUntilReady()
  const { w, metrics } = await watched({ queues: [queue] })
  await w.sample()

  expect(await metrics.series('taskiq_queue_consumers')).toEqual([])
})

test('the age of a parent that waited for its children is not known, so it counts from when it was seen', async () => {
  const parent = openQueue(queueName('parent'))
  const child = openQueue(queueName('child'))
  const timestamp = Date.now() - 3_600_000
  const children = [{ name: 'child', queueName: child.name, data: {}, opts: { timestamp } }]
  await openFlow().add({ name: 'parent', queueName: parent.name, data: {}, opts: { timestamp }, children })
  const done = ended(openWorker(child.name, async () => {}))
  await done
  const { w, metrics } = await watched({ queues: [parent] })
  await w.sample()

  expect(await metrics.value('taskiq_queue_depth', { queue: parent.name, state: 'waiting' })).toBe(1)
  expect(await metrics.value('taskiq_queue_oldest_age_seconds', { queue: parent.name })).toBeLessThan(60)
})

test('asks each queue once, however many objects stand for it', async () => {
  const name = queueName()
  const queue = openQueue(name)
  const workers = [openWorker(name, async () => {}), openWorker(name, async () => {})]
  const asked = [queue, ...workers].map((member) => vi.spyOn(member.getBackend(), 'hasQueueMetaField'))
  const { w, metrics } = await watched({ queues: [queue], workers })
  await w.sample()

  expect(asked.map(({ mock }) => mock.calls.length)).toEqual([1, 0, 0])
  expect(w.snapshot().queues).toHaveLength(1)
  expect(w.snapshot().workers).toHaveLength(2)
  expect(await metrics.series('taskiq_queue_depth', { queue: name, state: 'waiting' })).toHaveLength(1)
})

test('asks the queue of a worker without being given the queue', async () => {
  const worker = openWorker(queueName(), async () => {})
  const { w, metrics } = await watched({ workers: [worker] })
  await w.sample()

  expect(await metrics.value('taskiq_queue_depth', { queue: worker.name, state: 'waiting' })).toBe(0)
})
