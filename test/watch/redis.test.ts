// Redis under pressure, and Redis going away and coming back under a watch and its worker.
import { Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { type Broker, startRedis } from '../../scripts/brokers/index.ts'
import { emitted, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'
import { watched, watching } from './support.ts'

let redis: Broker
let address: string

beforeAll(async () => {
  redis = await startRedis({ persistent: true })
  address = `redis://${new URL(redis.url).host}`
})
afterAll(() => redis?.stop())
beforeEach(async () => {
  await command('CONFIG', 'SET', 'maxmemory', '0')
  await command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
})

async function command(name: string, ...args: string[]): Promise<unknown> {
  const client = new Redis(redis.url)
  try {
    return await client.call(name, ...args)
  } finally {
    client.disconnect()
  }
}

function queueOn(name = queueName()): Queue {
  const queue = new Queue(name, { connection: { url: redis.url } })
  queue.on('error', () => {})
  onTestFinished(() => queue.close())
  return queue
}

test('without a limit Redis cannot be full, and there is no ratio to show', async () => {
  const { w, metrics } = await watched({ queues: [queueOn()] })
  await w.sample()

  expect(await metrics.series('taskiq_broker_memory_ratio')).toEqual([])
  expect(await metrics.value('taskiq_broker_blocked', { broker: address })).toBe(0)
  expect(w.snapshot().connections).toMatchObject([{ broker: address, system: 'redis', state: 'up', blocked: false }])
})

test('shows how much of its memory Redis uses, and says once when it takes no more, and when it does again', async () => {
  await command('CONFIG', 'SET', 'maxmemory', '100mb')
  const { w, metrics, logs } = await watched({ queues: [queueOn(), queueOn()] })
  await w.sample()
  const ratio = () => metrics.value('taskiq_broker_memory_ratio', { broker: address })
  const blocked = () => metrics.value('taskiq_broker_blocked', { broker: address })
  expect(await ratio()).toBeGreaterThan(0)
  expect(await ratio()).toBeLessThan(0.5)
  expect(await blocked()).toBe(0)

  await command('CONFIG', 'SET', 'maxmemory', '1000')
  await w.sample()
  await w.sample()
  expect(await ratio()).toBeGreaterThan(1)
  expect(await blocked()).toBe(1)
  expect(logs.named('broker.blocked')).toMatchObject([{ level: 'error', broker: address }])

  await command('CONFIG', 'SET', 'maxmemory', '100mb')
  await w.sample()
  expect(await blocked()).toBe(0)
  expect(logs.named('broker.unblocked')).toHaveLength(1)
})

test('says once that Redis may throw jobs away', async () => {
  const queue = queueOn()
  await queue.waitUntilReady()
  await command('CONFIG', 'SET', 'maxmemory', '100mb')
  await command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  const { w, logs } = await watched({ queues: [queue] })
  await w.sample()
  await w.sample()

  expect(logs.named('broker.evicts')).toMatchObject([{ level: 'error', maxmemory_policy: 'allkeys-lru' }])
})

test('survives a Redis that is killed and comes back: stale samples vanish, which is said, and then recover', async () => {
  const queue = queueOn()
  const worker = new Worker(queue.name, async () => {}, { connection: { url: redis.url, maxRetriesPerRequest: null } })
  worker.on('error', () => {})
  onTestFinished(() => worker.close(true))
  await queue.pause()
  await queue.add('waits', {})
  const { t, logs, metrics, faults } = await record()
  const w = watching({ telemetry: t, queues: [queue], workers: [worker], intervalMs: 100 })
  const depth = () => metrics.value('taskiq_queue_depth', { queue: queue.name, state: 'waiting' })
  const paused = () => metrics.value('taskiq_queue_depth', { queue: queue.name, state: 'paused' })
  await expect.poll(paused).toBe(1)

  await redis.kill()
  const stale = await logs.waitFor('watch.stale', 2) // the queue, and the broker
  const died = await metrics.value('taskiq_watch_last_sample_timestamp_seconds', { queue: queue.name })
  expect(stale.map(({ level, queue, broker }) => [level, queue ?? broker]).sort()).toEqual(
    [
      ['warning', queue.name],
      ['warning', address],
    ].sort(),
  )
  expect(await paused()).toBeUndefined()
  expect(await metrics.series('taskiq_worker_stuck')).toEqual([])
  expect(await metrics.series('taskiq_broker_blocked')).toEqual([])
  expect(died).toBeGreaterThan(0) // how old the last sample is remains to be seen
  expect(w.snapshot().queues).toMatchObject([{ queue: queue.name, stale: true, depth: {} }])

  await redis.restart()
  await logs.waitFor('watch.fresh', 2)
  expect(await paused()).toBe(1)
  expect(await metrics.value('taskiq_watch_last_sample_timestamp_seconds', { queue: queue.name })).toBeGreaterThan(
    died ?? 0,
  )
  expect(w.snapshot().queues).toMatchObject([{ stale: false }])

  // The worker under the watch has survived it too, and is not called stuck for the time without a broker.
  const completed = emitted(worker, 'completed')
  await queue.resume()
  await completed
  await expect.poll(depth).toBe(0)
  expect(await metrics.value('taskiq_worker_stuck', { queue: queue.name })).toBe(0)
  expect(logs.named('worker.stuck')).toEqual([])
  expect(await faults()).toBeGreaterThanOrEqual(0)
})

test('a broker that was never there is said at once, and does no harm', async () => {
  const queue = new Queue(queueName(), {
    connection: { host: '127.0.0.1', port: 1, maxRetriesPerRequest: 0, retryStrategy: () => null },
  })
  queue.on('error', () => {})
  onTestFinished(() => queue.close().catch(() => {}))
  const { w, logs, metrics } = await watched({ queues: [queue] })
  await w.sample()

  const lines = await logs.waitFor('watch.stale', 2)
  const line = lines.find(({ system }) => system === 'bullmq')
  expect(line).toMatchObject({ level: 'warning', queue: queue.name })
  expect(line?.error).toMatchObject({ message: expect.stringMatching(/./) })
  expect(await metrics.series('taskiq_queue_depth')).toEqual([])
  expect(await metrics.value('taskiq_telemetry_errors_total', { part: 'watch' })).toBeGreaterThan(0)
})

test('tells apart the groups of one set of sentinels, by a client and by its options', async () => {
  const sentinels = (name: string) => ({ sentinels: [{ host: '127.0.0.1', port: 9 }], name, lazyConnect: true })
  const queues = [new Redis(sentinels('cache')), new Redis(sentinels('queues')), sentinels('plans')].map(
    (connection, at) => {
      const never = new Promise<never>(() => {})
      const backend = { redisVersion: '7.0', closing: undefined, qualifiedName: `bull:${at}`, client: never }
      return { name: String(at), opts: { connection }, getBackend: () => ({ ...backend, getCounts: () => never }) }
    },
  )
  const { w } = await watched({ queues: queues as unknown as Queue[] })
  expect(w.snapshot().connections.map(({ broker }) => broker)).toEqual([
    'redis+sentinel://127.0.0.1:9/cache',
    'redis+sentinel://127.0.0.1:9/queues',
    'redis+sentinel://127.0.0.1:9/plans',
  ])
})
