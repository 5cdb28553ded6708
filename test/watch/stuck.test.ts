// Which workers are called stuck: those that could take a message and do not, and no others.
import { type ConnectionOptions, type Telemetry, Worker } from 'bullmq'
import { BullMQOtel } from 'bullmq-otel'
import { serve } from 'taskspan/server'
import { expect, onTestFinished, test, vi } from 'vitest'
import { emitted, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { bullmqPrefix, redisConnection } from '../support/redis.ts'
import { holdingWorker, type Watched, watched } from './support.ts'

const stuckAfterMs = 150
const redis = { queue: openQueue, worker: openWorker }

/** Looks until the time after which a worker is stuck has passed well over. */
async function looksLongEnough({ w }: Watched, afterMs = stuckAfterMs): Promise<void> {
  const end = performance.now() + afterMs * 2
  while (performance.now() < end) {
    await w.sample()
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
  await w.sample()
}

const stuck = ({ metrics }: Watched, queue: string) => metrics.value('taskiq_worker_stuck', { queue })

/** A worker whose loop has ended without a word: what bullmq-otel 2.0 leaves behind after one poisoned job. */
async function deafWorker(queue: string): Promise<Worker> {
  const print = vi.spyOn(console, 'error').mockImplementation(() => {}) // BullMQ prints what ended the loop
  onTestFinished(() => print.mockRestore())
  const plain = openQueue(queue)
  await plain.add('poison', {}, { telemetry: { metadata: 'not JSON' } })
  const worker = new Worker(queue, async () => {}, {
    connection: redisConnection() as ConnectionOptions,
    prefix: bullmqPrefix(),
    telemetry: new BullMQOtel({ tracerName: 'test' }) as unknown as Telemetry,
  })
  worker.on('error', () => {})
  onTestFinished(() => worker.close(true))
  await emitted(worker, 'active')
  return worker
}

test('a deaf worker is stuck: in the metric, in one line, in the snapshot and, when asked for, in /ready', async () => {
  const name = queueName('deaf')
  const worker = await deafWorker(name)
  await openQueue(name).add('waits', {})
  const seen = await watched({ workers: [worker], stuckAfterMs, ready: true })
  const server = await serve({ telemetry: seen.t, watch: seen.w, port: 0 })
  onTestFinished(() => server.close())
  await seen.w.sample()
  expect(await stuck(seen, name)).toBe(0)
  expect(seen.w.ready()).toBeUndefined()

  await looksLongEnough(seen)

  expect(worker.isRunning()).toBe(true) // BullMQ's own word is of no use here
  expect(await stuck(seen, name)).toBe(1)
  expect(seen.w.ready()).toContain(name)
  const ready = await fetch(`${server.address}/ready`)
  expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining(name)])
  expect(seen.w.snapshot().workers).toMatchObject([{ queue: name, stuck: true, running: 0, concurrency: 1 }])
  const lines = seen.logs.named('worker.stuck')
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatchObject({ level: 'error', queue: name, ready: 1, running: 0, concurrency: 1 })
  expect(lines[0]?.idle_ms).toBeGreaterThanOrEqual(stuckAfterMs)
})

test('ready() says nothing unless it was asked for', async () => {
  const name = queueName('deaf')
  const worker = await deafWorker(name)
  await openQueue(name).add('waits', {})
  const seen = await watched({ workers: [worker], stuckAfterMs })
  await looksLongEnough(seen)

  expect(await stuck(seen, name)).toBe(1)
  expect(seen.w.ready()).toBeUndefined()
})

test('a worker that does not hear of an overdue delayed job is stuck too', async () => {
  const name = queueName('deaf')
  const worker = await deafWorker(name)
  await openQueue(name).add('late', {}, { delay: 50 })
  const seen = await watched({ workers: [worker], stuckAfterMs })
  await looksLongEnough(seen)

  expect(await stuck(seen, name)).toBe(1)
})

test('a queue that moves again is said to', async () => {
  const name = queueName('deaf')
  const worker = await deafWorker(name)
  const queue = openQueue(name)
  const job = await queue.add('waits', {})
  const seen = await watched({ workers: [worker], stuckAfterMs })
  await looksLongEnough(seen)
  expect(await stuck(seen, name)).toBe(1)

  await job.remove()
  await seen.w.sample()

  expect(await stuck(seen, name)).toBe(0)
  expect(seen.logs.named('worker.unstuck')).toMatchObject([{ level: 'info', queue: name }])
})

test('a deaf worker with nothing to do is not stuck', async () => {
  const name = queueName('deaf')
  const seen = await watched({ workers: [await deafWorker(name)], stuckAfterMs })
  await looksLongEnough(seen)

  expect(await stuck(seen, name)).toBe(0)
})

test('a deaf worker on a paused queue is not stuck until the queue is resumed', async () => {
  const name = queueName('deaf')
  const worker = await deafWorker(name)
  const queue = openQueue(name)
  await queue.add('waits', {})
  await queue.pause()
  const seen = await watched({ workers: [worker], stuckAfterMs })
  await looksLongEnough(seen)
  expect(await stuck(seen, name)).toBe(0)

  await queue.resume()
  await looksLongEnough(seen)
  expect(await stuck(seen, name)).toBe(1)
})

test('a worker that is fully busy is not stuck, however long its backlog waits', async () => {
  const name = queueName('busy')
  const { worker } = holdingWorker(redis, name, { concurrency: 2 })
  const queue = openQueue(name)
  for (let n = 0; n < 6; n++) await queue.add('long', {})
  const seen = await watched({ workers: [worker], stuckAfterMs })
  await expect.poll(() => queue.getActiveCount()).toBe(2)
  await looksLongEnough(seen)

  expect(seen.w.snapshot().workers).toMatchObject([{ running: 2, concurrency: 2, stuck: false }])
  expect(await stuck(seen, name)).toBe(0)
})

test('a worker that takes jobs is not stuck, also when each look finds it between two of them', async () => {
  const name = queueName('steady')
  const queue = openQueue(name)
  await queue.addBulk(Array.from({ length: 1_500 }, () => ({ name: 'short', data: {} })))
  const worker = openWorker(name, () => new Promise((resolve) => setTimeout(resolve, 5)), { concurrency: 2 })
  const { lockManager } = worker as unknown as { lockManager: { getActiveJobCount(): number } }
  vi.spyOn(lockManager, 'getActiveJobCount').mockReturnValue(0)
  const seen = await watched({ workers: [worker], stuckAfterMs: 500 }) // a busy machine may stop for a while
  await looksLongEnough(seen, 500)

  expect(await queue.getWaitingCount()).toBeGreaterThan(0)
  expect(await stuck(seen, name)).toBe(0)
})

test('a worker that is rate-limited is not stuck', async () => {
  const name = queueName('limited')
  const queue = openQueue(name)
  const worker = openWorker(name, async () => {}, { limiter: { max: 1, duration: 60_000 } })
  const completed = emitted(worker, 'completed')
  await queue.addBulk([
    { name: 'first', data: {} },
    { name: 'second', data: {} },
  ])
  await completed
  const seen = await watched({ workers: [worker], stuckAfterMs })
  await looksLongEnough(seen)

  expect(await queue.getWaitingCount()).toBe(1)
  expect(await stuck(seen, name)).toBe(0)
})

test('a worker is not stuck while its queue is limited by hand, or at its own concurrency', async () => {
  const name = queueName('limited')
  const queue = openQueue(name)
  await queue.rateLimit(60_000)
  const limited = openWorker(name, async () => {})
  await queue.add('waits', {})

  const full = openQueue(queueName('full'))
  await full.setGlobalConcurrency(1)
  const { worker } = holdingWorker(redis, full.name, { concurrency: 5 })
  await full.addBulk([
    { name: 'runs', data: {} },
    { name: 'waits', data: {} },
  ])
  const seen = await watched({ workers: [limited, worker], stuckAfterMs })
  await expect.poll(() => full.getActiveCount()).toBe(1)
  await looksLongEnough(seen)

  expect(await stuck(seen, name)).toBe(0)
  expect(await stuck(seen, full.name)).toBe(0)
})

test('a worker that is paused, not started yet, or closing is not stuck', async () => {
  const names = ['paused', 'unstarted', 'closing'].map((stem) => queueName(stem))
  const [pausedQueue = '', unstartedQueue = '', closingQueue = ''] = names
  const paused = openWorker(pausedQueue, async () => {})
  await paused.waitUntilReady()
  await paused.pause()
  const unstarted = openWorker(unstartedQueue, async () => {}, { autorun: false })
  const { worker: closing, open } = holdingWorker(redis, closingQueue, { concurrency: 2 })
  const started = emitted(closing, 'active')
  await openQueue(closingQueue).add('runs', {})
  await started
  const seen = await watched({
    workers: [paused, unstarted, closing],
    queues: names.map((name) => openQueue(name)),
    stuckAfterMs,
  })
  const closed = closing.close()
  for (const name of names) await openQueue(name).add('waits', {})
  await looksLongEnough(seen)

  for (const name of names) expect((await stuck(seen, name)) ?? 0, name).toBe(0)
  expect(seen.logs.named('worker.stuck')).toEqual([])
  open()
  await closed
})

test('without a worker here, a queue from which nobody takes is stuck, and its workers are counted in the line', async () => {
  const queue = openQueue(queueName('dead'))
  await queue.add('waits', {})
  const seen = await watched({ queues: [queue], stuckAfterMs, ready: true })
  await looksLongEnough(seen)

  expect(await stuck(seen, queue.name)).toBe(1)
  expect(seen.logs.named('worker.stuck')).toMatchObject([{ queue: queue.name, ready: 1, consumers: 0 }])
  expect(seen.w.ready()).toBeUndefined() // no worker of this process is to blame
})

test('without a worker here, a busy one elsewhere is not mistaken for a dead one', async () => {
  const queue = openQueue(queueName('busy'))
  holdingWorker(redis, queue.name)
  await queue.addBulk([
    { name: 'runs', data: {} },
    { name: 'waits', data: {} },
  ])
  await expect.poll(() => queue.getActiveCount()).toBe(1)
  const seen = await watched({ queues: [queue], stuckAfterMs })
  await looksLongEnough(seen)

  expect(await stuck(seen, queue.name)).toBe(0)
})

test('without a worker here, a fleet that was killed in the middle of its jobs is seen', async () => {
  const queue = openQueue(queueName('killed'))
  await queue.setGlobalConcurrency(1) // what is active without a worker must not count against it
  const { worker } = holdingWorker(redis, queue.name)
  await queue.addBulk([
    { name: 'runs', data: {} },
    { name: 'waits', data: {} },
  ])
  await expect.poll(() => queue.getActiveCount()).toBe(1)
  await worker.close(true) // as a kill: its job stays active, for nobody is left to notice
  const seen = await watched({ queues: [queue], stuckAfterMs })
  await looksLongEnough(seen)

  expect(await queue.getActiveCount()).toBe(1)
  expect(await stuck(seen, queue.name)).toBe(1)
})
