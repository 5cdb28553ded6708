// A RabbitMQ in alarm, and one that is killed and comes back under a watch.
import type { Socket } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RabbitMq, startRabbitMq } from '../../scripts/brokers/index.ts'
import { openChannel, openConnection } from '../support/amqp.ts'
import { record } from '../support/record.ts'
import { watching } from './support.ts'

let rabbitMq: RabbitMq
let broker: string

beforeAll(async () => {
  rabbitMq = await startRabbitMq({ memoryLimit: '1MB' })
  broker = `amqp://${new URL(rabbitMq.url).host}`
}, 120_000)
afterAll(() => rabbitMq?.stop())

test('an alarm is told by the management API', async () => {
  const { t, metrics, logs } = await record()
  const { url, managementUrl } = rabbitMq
  const w = watching({ telemetry: t, rabbitmq: { connection: url, queues: [], managementUrl } })
  const ratio = () => w.sample().then(() => metrics.value('taskiq_broker_memory_ratio', { broker }))
  // In a broker's first seconds the API knows nothing yet, and then nothing is shown.
  await expect.poll(ratio, { timeout: 20_000 }).toBeGreaterThan(1)

  expect(await metrics.value('taskiq_broker_blocked', { broker })).toBe(1)
  expect(logs.named('broker.blocked')).toMatchObject([{ level: 'error', broker }])
})

test("an alarm is told by `blocked` to a user's connection that publishes; before, nothing is known", async () => {
  const connection = await openConnection(rabbitMq.url)
  const channel = await openChannel(connection)
  await channel.assertQueue('orders', { durable: true })
  const { t, metrics, logs } = await record()
  const w = watching({ telemetry: t, rabbitmq: { connection, queues: ['orders'] } })
  await w.sample()
  expect(await metrics.series('taskiq_broker_blocked')).toEqual([])

  const blocked = new Promise((resolve) => connection.once('blocked', resolve))
  channel.sendToQueue('orders', Buffer.from('{}'))
  await blocked
  void w.sample() // of the queue there is no answer now
  const known = () => metrics.value('taskiq_broker_blocked', { broker: 'rabbitmq' })
  await expect.poll(known).toBe(1)
  expect(logs.named('broker.blocked')).toHaveLength(1)
  // A blocked broker reads nothing, not even that a connection is to be closed.
  ;(connection.connection as unknown as { stream: Socket }).stream.destroy()
})

async function declare(): Promise<void> {
  const connection = await openConnection(rabbitMq.url)
  await (await openChannel(connection)).assertQueue('orders', { durable: true })
  await connection.close()
}

test('survives a RabbitMQ that is killed and comes back: stale samples vanish, which is said, and then recover', async () => {
  await declare()
  const { t, metrics, logs } = await record()
  const { url, managementUrl } = rabbitMq
  const rabbitmq = { connection: url, queues: ['orders'], managementUrl }
  const w = watching({ telemetry: t, rabbitmq, intervalMs: 200 })
  const depth = () => metrics.value('taskiq_queue_depth', { queue: 'orders', state: 'waiting' })
  const ratio = () => metrics.value('taskiq_broker_memory_ratio', { broker })
  await expect.poll(async () => [await depth(), (await ratio()) !== undefined]).toEqual([0, true])

  await rabbitMq.kill()
  const lines = await logs.waitFor('watch.stale', 3)
  expect(lines.map(({ queue, part, broker }) => [queue, part, broker])).toEqual(
    expect.arrayContaining([
      ['orders', undefined, undefined],
      ['orders', 'management', undefined],
      [undefined, undefined, broker],
    ]),
  )
  expect(await depth()).toBeUndefined()
  expect(await ratio()).toBeUndefined()
  expect(w.snapshot().connections).toMatchObject([{ broker, state: 'down' }])

  await rabbitMq.restart()
  await declare() // as its service does at its start: what was declared just before the kill may not be on the disk
  await logs.waitFor('watch.fresh', 3, { timeoutMs: 20_000 })
  expect(await depth()).toBe(0)
  expect(w.snapshot().queues).toMatchObject([{ queue: 'orders', stale: false }])
}, 90_000)
