// What watch() sees of RabbitMQ by passive declare and through the management API, and never by consuming.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ChannelModel } from 'amqplib'
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { makeQueue, openChannel, openConnection, queueName, takeAll } from '../support/amqp.ts'
import { amqpUrl, rabbitMqManagementUrl } from '../support/rabbitmq.ts'
import { watched } from './support.ts'

let url: string

beforeAll(async () => {
  url = await amqpUrl()
}, 90_000)

async function queueWith(count: number, options = {}): Promise<string> {
  const channel = await openChannel()
  const queue = await makeQueue(channel, options)
  for (let n = 0; n < count; n++) channel.sendToQueue(queue, Buffer.from('{}'))
  await expect.poll(async () => (await channel.checkQueue(queue)).messageCount).toBe(count)
  return queue
}

test('counts what is ready and who consumes; what only the management API knows has no series', async () => {
  const queue = await queueWith(3)
  const channel = await openChannel()
  await channel.prefetch(1)
  const delivered = new Promise((resolve) => void channel.consume(queue, resolve))
  await delivered
  const { w, metrics } = await watched({ rabbitmq: { connection: url, queues: [queue] } })
  await w.sample()

  const depths = await metrics.series('taskiq_queue_depth')
  expect(depths).toMatchObject([{ labels: { queue, state: 'waiting' }, value: 2 }])
  expect(await metrics.value('taskiq_queue_consumers', { queue })).toBe(1)
  expect(await metrics.value('taskiq_worker_stuck', { queue })).toBe(0)
  expect(await metrics.value('taskiq_watch_last_sample_timestamp_seconds', { queue })).toBeCloseTo(
    Date.now() / 1000,
    -1,
  )
  for (const name of ['taskiq_queue_oldest_age_seconds', 'taskiq_queue_priority_depth', 'taskiq_queue_paused']) {
    expect(await metrics.series(name), name).toEqual([])
  }
  expect(await metrics.series('taskiq_broker_memory_ratio')).toEqual([])
  expect(await metrics.series('taskiq_broker_blocked')).toEqual([])
  expect(w.snapshot().connections).toMatchObject([{ broker: `amqp://${new URL(url).host}`, stale: false }])
})

test('takes nothing: no message has been delivered before', async () => {
  const queue = await queueWith(2)
  const { w } = await watched({ rabbitmq: { connection: url, queues: [queue] } })
  for (let times = 0; times < 3; times++) await w.sample()
  await w.close()

  expect((await takeAll(queue)).map(({ fields }) => fields.redelivered)).toEqual([false, false])
})

test('a queue that is missing closes the channel, and the other queues are seen all the same', async () => {
  const [queue, missing] = [await queueWith(1), queueName('missing')]
  const { w, metrics, logs } = await watched({ rabbitmq: { connection: url, queues: [missing, queue, missing] } })
  await w.sample()

  expect(await metrics.value('taskiq_queue_depth', { queue, state: 'waiting' })).toBe(1)
  expect(await metrics.series('taskiq_queue_depth', { queue: missing })).toEqual([])
  const [line] = logs.named('watch.stale')
  expect(line).toMatchObject({ level: 'warning', system: 'rabbitmq', queue: missing })
  expect(JSON.stringify(line?.error)).toContain('NOT_FOUND')

  await (await openChannel()).assertQueue(missing)
  await w.sample()
  expect(await metrics.value('taskiq_queue_depth', { queue: missing, state: 'waiting' })).toBe(0)
  expect(logs.named('watch.fresh')).toHaveLength(2)
})

test("on the user's own connection it opens a channel, and leaves the connection open when it ends", async () => {
  const queue = await queueWith(1)
  const connection = await openConnection()
  const listeners = () => connection.eventNames().map((name) => [name, connection.listenerCount(name)])
  const before = listeners()
  const { w, metrics } = await watched({ rabbitmq: { connection, queues: [queue] } })
  await w.sample()
  expect(await metrics.value('taskiq_queue_depth', { queue, state: 'waiting' })).toBe(1)

  await w.close()
  expect(listeners()).toEqual(before)
  expect((await (await openChannel(connection)).checkQueue(queue)).messageCount).toBe(1)
})

test('follows the connection that a function gives, as a client that reconnects gives it', async () => {
  const queue = await queueWith(1)
  let current: ChannelModel | undefined = await openConnection()
  const { w, metrics, logs } = await watched({ rabbitmq: { connection: () => current, queues: [queue] } })
  await w.sample()
  const seen = () => metrics.value('taskiq_watch_last_sample_timestamp_seconds', { queue })
  const first = await seen()
  expect(first).toBeGreaterThan(0)

  await current.close()
  current = undefined
  await w.sample()
  expect(await seen()).toBe(first)

  current = await openConnection()
  await w.sample()
  expect(await seen()).toBeGreaterThan(first ?? 0)
  expect(logs.named('watch.stale')).toEqual([])

  // Also while the one before is still open, and without leaving a channel on it.
  const before = vi.spyOn(current, 'createChannel')
  current = await openConnection()
  const after = vi.spyOn(current, 'createChannel')
  await w.sample()
  expect([before.mock.calls.length, after.mock.calls.length]).toEqual([0, 1])
})

test('the management API adds unsettled messages, the age of the next one, and the priorities asked for', async () => {
  const channel = await openChannel()
  const queue = await makeQueue(channel, { maxPriority: 5 })
  const timestamp = Math.floor(Date.now() / 1000) - 600
  for (const priority of [1, 1, 4, 5]) channel.sendToQueue(queue, Buffer.from('{}'), { priority, timestamp })
  await expect.poll(async () => (await channel.checkQueue(queue)).messageCount).toBe(4)
  await channel.prefetch(1)
  await new Promise((resolve) => void channel.consume(queue, resolve))
  const managementUrl = await rabbitMqManagementUrl()
  const { w, metrics } = await watched({
    rabbitmq: { connection: url, queues: [queue], managementUrl },
    priorities: [1, 4, 9],
  })
  // The API is some seconds behind, with the numbers of messages and with what it knows of them each in its own time.
  const seen = async () => {
    await w.sample()
    const unacked = await metrics.value('taskiq_queue_depth', { queue, state: 'unacked' })
    return unacked === 1 ? metrics.value('taskiq_queue_oldest_age_seconds', { queue }) : undefined
  }
  await expect.poll(seen, { timeout: 20_000, interval: 500 }).toBeGreaterThan(590)

  expect(await metrics.value('taskiq_queue_depth', { queue, state: 'waiting' })).toBe(3)
  const age = await metrics.value('taskiq_queue_oldest_age_seconds', { queue })
  expect(age).toBeLessThan(660)
  const priorities = await metrics.series('taskiq_queue_priority_depth', { queue })
  expect(Object.fromEntries(priorities.map(({ labels, value }) => [labels.priority, value]))).toEqual({ 1: 2, 4: 1 })
  const broker = `amqp://${new URL(url).host}`
  expect(await metrics.value('taskiq_broker_memory_ratio', { broker })).toBeGreaterThan(0)
  expect(await metrics.value('taskiq_broker_blocked', { broker })).toBe(0)
  expect(w.snapshot().queues).toMatchObject([
    { queue, system: 'rabbitmq', depth: { waiting: 3, unacked: 1 }, consumers: 1, priorities: { 1: 2, 4: 1 } },
  ])
}, 40_000)

test('a management API that refuses takes nothing away from what the queue itself tells, nor tells a password', async () => {
  const queue = await queueWith(2)
  const management = new URL(await rabbitMqManagementUrl())
  management.password = 'hunter2'
  const { w, metrics, logs } = await watched({
    rabbitmq: { connection: url, queues: [queue], managementUrl: management.href },
  })
  await w.sample()

  expect(await metrics.value('taskiq_queue_depth', { queue, state: 'waiting' })).toBe(2)
  expect(await metrics.series('taskiq_queue_depth', { state: 'unacked' })).toEqual([])
  const lines = logs.named('watch.stale')
  const about = lines.map(({ part, queue, broker }) => [part, queue ?? broker])
  expect(about).toEqual(
    expect.arrayContaining([
      ['management', queue],
      [undefined, `amqp://${new URL(url).host}`],
    ]),
  )
  expect(about).toHaveLength(2)
  expect(JSON.stringify(lines)).toContain('401')
  expect(JSON.stringify([lines, w.snapshot()])).not.toMatch(/hunter2|guest:/)
})

test('a queue with messages and nobody to consume them is stuck', async () => {
  const queue = await queueWith(1)
  const { w, metrics, logs } = await watched({ rabbitmq: { connection: url, queues: [queue] }, stuckAfterMs: 100 })
  const stuck = () => w.sample().then(() => metrics.value('taskiq_worker_stuck', { queue }))
  expect(await stuck()).toBe(0)
  await expect.poll(stuck).toBe(1)
  expect(logs.named('worker.stuck')).toMatchObject([{ queue, ready: 1, consumers: 0 }])

  const channel = await openChannel()
  await channel.consume(queue, (message) => message && channel.ack(message))
  await expect.poll(stuck).toBe(0)
  expect(logs.named('worker.unstuck')).toHaveLength(1)
})

test('keeps no process alive, nor does the connection of its own', async () => {
  const script = `
    import { telemetry } from './src/telemetry.ts'
    import { watch } from './src/watch/index.ts'
    const rabbitmq = { connection: ${JSON.stringify(url)}, queues: ['missing'] }
    await watch({ telemetry: telemetry(), rabbitmq, intervalMs: 60_000 }).sample()
    console.log('looked')
  `
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script])
  onTestFinished(() => void child.kill('SIGKILL'))
  const output: string[] = []
  child.stdout.on('data', (chunk) => output.push(String(chunk)))
  const [code] = await once(child, 'close')

  expect(output.join('')).toContain('NOT_FOUND')
  expect(output.join('')).toContain('looked')
  expect(code).toBe(0)
})
