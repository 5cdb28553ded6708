// The handle of watch(): what it refuses, what it leaves behind, the process's own gauges, and tasks that still run.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { context, trace } from '@opentelemetry/api'
import { Gauge, Registry } from 'prom-client'
import { TaskspanError } from 'taskspan'
import { bind } from 'taskspan/logging'
import { telemetry } from 'taskspan/telemetry'
import { fakeBroker } from 'taskspan/testing'
import { type WatchOptions, watch } from 'taskspan/watch'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'
import { redisUrl } from '../support/redis.ts'
import { watched, watching } from './support.ts'

afterEach(() => vi.restoreAllMocks())

describe('options', () => {
  const t = telemetry({ registry: new Registry() })
  const refused = (options: object): unknown => {
    try {
      watch({ telemetry: t, ...options } as WatchOptions)
    } catch (error) {
      return error
    }
    return undefined
  }

  test.each([
    ['an unknown key', { interval: 5 }, /unknown option 'interval'/],
    ['something that is no telemetry', { telemetry: () => {} }, /'telemetry' must be what telemetry\(\)/],
    ['no telemetry', { telemetry: undefined }, /'telemetry' is required/],
    ['the name of a queue', { queues: ['render'] }, /'queues' must be an array of BullMQ's Queue objects/],
    ['a queue among workers', { workers: [openLater()] }, /'workers' must be an array of BullMQ's Worker objects/],
    ['an interval that would be a busy loop', { intervalMs: 5 }, /'intervalMs' must be a number >= 100/],
    ['a priority that is none', { priorities: [-1] }, /'priorities'/],
    ['RabbitMQ without queues', { rabbitmq: { connection: 'amqp://localhost' } }, /'queues' is required/],
    ['RabbitMQ without a connection', { rabbitmq: { queues: [] } }, /'connection' must be an amqp URL/],
    ['a misspelt key for RabbitMQ', { rabbitmq: { queue: 'orders' } }, /unknown option 'queue'/],
  ])('refuses %s', (_, options, message) => {
    const error = refused(options)
    expect(error).toBeInstanceOf(TaskspanError)
    expect((error as TaskspanError).message).toMatch(message)
  })

  test.each([
    ['connection', { connection: 'amqp:/user:hunter2@host', queues: [] }],
    ['connection', { connection: 'redis://user:hunter2@host', queues: [] }],
    ['managementUrl', { connection: 'amqp://host', queues: [], managementUrl: 'user:hunter2@host' }],
    ['unknown option', { connection: 'amqp://host', queues: [], managementURL: 'http://user:hunter2@host' }],
  ])('shows no password when it refuses a URL: %s', (where, rabbitmq) => {
    const { message } = refused({ rabbitmq }) as Error
    expect(message).toContain(where)
    expect(message).not.toContain('hunter2')
  })

  test('takes a URL as amqplib does, with a sign in it that should have been escaped', async () => {
    const asked: string[] = []
    vi.spyOn(globalThis, 'fetch').mockImplementation(async (url, init) => {
      asked.push(String(url), String(new Headers(init?.headers).get('authorization')))
      return new Response('{}')
    })
    const connection = 'amqp://me:100%@127.0.0.1:9/50%'
    const rabbitmq = { connection, queues: ['orders'], managementUrl: 'http://host:15672' }
    await (await watched({ rabbitmq })).w.sample()
    expect(asked[0]).toContain('/api/queues/50%25/orders')
    expect(asked[1]).toBe(`Basic ${btoa('me:100%')}`)
  })

  test('refuses a registry in which another metric has the name of one of its own', () => {
    const registry = new Registry()
    new Gauge({ name: 'taskiq_queue_depth', help: 'mine', registers: [registry] })
    const error = refused({ telemetry: telemetry({ registry }) })
    expect(error).toMatchObject({ code: 'METRIC_NAME_TAKEN' })
  })
})

function openLater(): object {
  return { name: 'render', getBackend: () => {} }
}

test('metrics follow the prefix of the telemetry, and without metrics there are none, but a snapshot', async () => {
  const queue = openQueue(queueName())
  const prefixed = await record({ prefix: 'jobs' })
  await watching({ telemetry: prefixed.t, queues: [queue] }).sample()
  expect(await prefixed.metrics.value('jobs_queue_depth', { queue: queue.name, state: 'waiting' })).toBe(0)

  const registry = new Registry()
  const w = watching({ telemetry: telemetry({ registry, metrics: false }), queues: [queue] })
  await w.sample()
  expect(registry.getMetricsAsArray()).toEqual([])
  expect(w.snapshot().queues).toMatchObject([{ queue: queue.name, depth: { waiting: 0 } }])
})

test('looks by itself at each interval, and never because of a scrape', async () => {
  const queue = openQueue(queueName())
  const { metrics, t } = await record()
  const counts = vi.spyOn(queue.getBackend(), 'getCounts')
  const w = watching({ telemetry: t, queues: [queue], intervalMs: 100 })
  const depth = () => metrics.value('taskiq_queue_depth', { queue: queue.name, state: 'waiting' })
  await expect.poll(depth).toBe(0)
  await queue.add('waits', {})
  await expect.poll(depth).toBe(1)

  await w.close()
  const before = counts.mock.calls.length
  await metrics.registry.metrics()
  w.snapshot()
  await w.sample()
  expect(counts.mock.calls).toHaveLength(before)
})

test('looks no more often where the interval is more than a timer knows', async () => {
  const queue = openQueue(queueName())
  const counts = vi.spyOn(queue.getBackend(), 'getCounts')
  const w = watching({ telemetry: (await record()).t, queues: [queue], intervalMs: 2 ** 32 })
  await w.sample()
  const before = counts.mock.calls.length
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(counts.mock.calls).toHaveLength(before)
})

test('asks once at a time: a broker that does not answer is not asked again at the next interval', async () => {
  const queue = openQueue(queueName())
  const asked = vi.spyOn(queue.getBackend(), 'getCounts').mockImplementation(() => new Promise(() => {}))
  const { t, logs } = await record()
  watching({ telemetry: t, queues: [queue], intervalMs: 100 })
  const [line] = await logs.waitFor('watch.stale', 1)

  expect(line).toMatchObject({ level: 'warning', queue: queue.name })
  expect(asked).toHaveBeenCalledTimes(1)
})

test('an answer that only one part needs may fail by itself, and is counted', async () => {
  const queue = openQueue(queueName())
  await queue.add('waits', {})
  vi.spyOn(queue.getBackend(), 'getClientList').mockRejectedValue(new Error('NOPERM'))
  const { w, metrics, logs } = await watched({ queues: [queue] })
  await w.sample()

  expect(await metrics.value('taskiq_queue_depth', { queue: queue.name, state: 'waiting' })).toBe(1)
  expect(await metrics.value('taskiq_queue_oldest_age_seconds', { queue: queue.name })).toBeDefined()
  expect(await metrics.series('taskiq_queue_consumers')).toEqual([])
  const faults = { part: 'watch', reason: 'consumers' }
  expect(await metrics.value('taskiq_telemetry_errors_total', faults)).toBeGreaterThan(0)
  expect(logs.named('watch.stale')).toEqual([])
})

test('closing takes its series away and its listeners off, twice is once, and a queue closed by its user is no fault', async () => {
  const queue = openQueue(queueName())
  const worker = openWorker(queueName(), async () => {})
  const listeners = () => worker.eventNames().map((name) => [name, worker.listenerCount(name)])
  const before = listeners()
  const { w, metrics, logs } = await watched({ queues: [queue], workers: [worker] })
  await w.sample()
  expect(await metrics.series('taskiq_queue_depth')).not.toEqual([])

  await queue.close()
  await w.sample()
  expect(await metrics.series('taskiq_queue_depth', { queue: queue.name })).toEqual([])
  expect(await metrics.series('taskiq_watch_last_sample_timestamp_seconds', { queue: queue.name })).toEqual([])
  expect(w.snapshot().queues).toMatchObject([{ queue: worker.name }])

  await Promise.all([w.close(), w[Symbol.asyncDispose]()])
  await w.sample()
  const left = await metrics.registry.metrics()
  expect(left).not.toMatch(/^taskiq_(queue|worker|watch|broker|process)_\w+[{ ]/m)
  expect(listeners()).toEqual(before)
  expect(logs.lines).toEqual([])
})

test('what it asks makes no spans, and its lines carry nothing of the request that made it', async () => {
  const { spans, t, logs } = await record({ correlation: ['request_id'] })
  const queue = openQueue(queueName())
  const backend = queue.getBackend()
  const active: unknown[] = []
  const getCounts = backend.getCounts.bind(backend)
  vi.spyOn(backend, 'getCounts').mockImplementation(async (...args) => {
    active.push(trace.getSpan(context.active()))
    throw await getCounts(...args).then(() => new Error('down'))
  })
  const w = bind({ request_id: 'r-1' }, () =>
    trace.getTracer('app').startActiveSpan('request', (span) => {
      const made = watching({ telemetry: t, queues: [queue] })
      span.end()
      return made
    }),
  )
  await w.sample()

  expect(active).toEqual([undefined])
  expect(spans.spans.map(({ name }) => name)).toEqual(['request'])
  const [line] = await logs.waitFor('watch.stale', 1)
  expect(line).not.toHaveProperty('request_id')
  expect(line).not.toHaveProperty('trace_id')
})

test('shows CPU, memory and how late the event loop is', async () => {
  const { w, metrics } = await watched({})
  const lag = (quantile: string) => metrics.value('taskiq_process_event_loop_lag_seconds', { quantile })
  await expect.poll(() => w.sample().then(() => lag('1'))).toBeGreaterThanOrEqual(0)
  await new Promise((resolve) => setTimeout(resolve, 60)) // two ticks of the histogram, or the block falls before them
  const before = (await metrics.value('taskiq_process_cpu_seconds_total')) ?? Number.NaN
  const started = process.cpuUsage()
  const until = performance.now() + 200
  while (performance.now() < until);
  const used = process.cpuUsage(started)
  await new Promise((resolve) => setTimeout(resolve, 60))
  await w.sample()

  expect(await lag('1')).toBeGreaterThan(0.1)
  expect(await lag('1')).toBeLessThan(20) // seconds, not milliseconds
  expect(await metrics.value('taskiq_process_cpu_seconds_total')).toBeGreaterThanOrEqual(before + used.user / 1e6)
  const cores = await metrics.value('taskiq_process_cpu_limit_cores')
  expect(cores).toBeGreaterThan(0)
  expect(cores).toBeLessThanOrEqual(availableParallelism())
  expect(await metrics.value('taskiq_process_resident_memory_bytes')).toBeGreaterThan(10_000_000)
  expect(await metrics.value('taskiq_process_heap_used_bytes')).toBeGreaterThan(1_000_000)
  expect(w.snapshot().process.eventLoopLagMs?.max).toBeGreaterThan(100)
})

test("shows the container's memory limit, and none where there is none", async () => {
  const limit = vi.spyOn(process, 'constrainedMemory').mockReturnValue(512_000_000)
  const { w, metrics } = await watched({})
  const shown = () => w.sample().then(() => metrics.value('taskiq_process_memory_limit_bytes'))
  expect(await shown()).toBe(512_000_000)

  for (const none of [0, 2 ** 64, 9_223_372_036_854_772_000]) {
    limit.mockReturnValue(none)
    expect(await shown()).toBeUndefined()
  }
})

test('says of a task that runs for long that it still does, in its trace, and again when the time has doubled', async () => {
  const { spans, logs, t } = await record()
  const broker = fakeBroker(t)
  let end = (): void => {}
  broker.consume('render', () => new Promise<void>((resolve) => (end = resolve)))
  const begun = performance.now()
  broker.send('render', { name: 'render_clip', id: 'm-1' })
  const w = watching({ telemetry: t, stillRunningAfterMs: 400 })

  const said = () => w.sample().then(() => logs.named('task.still_running').length)
  await expect.poll(said, { interval: 10 }).toBe(1)
  await expect.poll(said, { interval: 10 }).toBe(2)
  expect(performance.now() - begun).toBeGreaterThan(790)
  end()
  await broker.settled(1)
  await w.sample()

  const [first, second] = logs.named('task.still_running')
  const span = spans.spans.find(({ name }) => name === 'taskiq.render_clip')
  expect(first).toMatchObject({ level: 'warning', task_name: 'render_clip', task_id: 'm-1', queue: 'render' })
  expect(first).toMatchObject({ trace_id: span?.traceId, span_id: span?.spanId })
  expect(first?.elapsed_ms).toBeGreaterThanOrEqual(400)
  expect(second?.elapsed_ms).toBeGreaterThanOrEqual(800)
  expect(logs.named('task.still_running')).toHaveLength(2)
})

test('keeps no process alive', async () => {
  const script = `
    import { telemetry } from './src/telemetry.ts'
    import { watch } from './src/watch/index.ts'
    import { Queue } from 'bullmq'
    const queue = new Queue('q', { connection: { url: ${JSON.stringify(redisUrl())} } })
    const w = watch({ telemetry: telemetry(), queues: [queue], intervalMs: 100 })
    await w.sample()
    await queue.close()
    console.log('looked')
  `
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script])
  onTestFinished(() => void child.kill('SIGKILL'))
  const output: string[] = []
  child.stdout.on('data', (chunk) => output.push(String(chunk)))
  child.stderr.on('data', (chunk) => output.push(String(chunk)))
  const [code] = await once(child, 'exit')

  expect(output.join('')).toContain('looked')
  expect(code).toBe(0)
})
