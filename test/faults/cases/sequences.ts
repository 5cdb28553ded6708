// Sequences of what a broker tells, played to the adapters and to a model of what must come of them.
import { EventEmitter } from 'node:events'
import type { ConsumeMessage } from 'amqplib'
import type { Worker } from 'bullmq'
import fc from 'fast-check'
import { Registry } from 'prom-client'
import { amqp } from 'taskspan/amqp'
import { bullmq } from 'taskspan/bullmq'
import { telemetry } from 'taskspan/telemetry'
import { recordMetrics } from 'taskspan/testing'
import type { Bench } from '../fault.ts'
import { FakeChannel } from './channel.ts'
import { holds, same } from './expect.ts'

export const channelEvent = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ kind: 'deliver' as const }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('end' as const), which: fc.nat(9), threw: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('cancelled', 'returned', 'blocked', 'unblocked', 'error' as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('channel', 'connection', 'close' as const) }) },
)
export type ChannelEvent = typeof channelEvent extends fc.Arbitrary<infer T> ? T : never

/** What must have come of the events so far. */
class Model {
  readonly told: string[] = []
  readonly events = new Map<string, number>()
  ended = 0
  isOpen = true
  isHeard = true

  happened(event: string): void {
    this.events.set(event, (this.events.get(event) ?? 0) + 1)
  }
}

interface Running {
  readonly id: number
  readonly end: (threw: boolean) => void
  readonly settled: Promise<unknown>
}

export async function playChannel({ recorded }: Bench, events: readonly ChannelEvent[]): Promise<void> {
  const metrics = recordMetrics(new Registry())
  const t = telemetry({ registry: metrics.registry, logger: recorded.logs.logger })
  const channel = new FakeChannel()
  const model = new Model()
  const running: Running[] = []
  let ids = 0
  let begun: ((threw: boolean) => void) | undefined
  const consumer = await amqp(t).consume(channel.face, 'clips', () => {
    return new Promise<void>((resolve, reject) => {
      begun = (threw) => (threw ? reject(new Error('no funds')) : resolve())
    })
  })
  let closing: Promise<void> | undefined

  const step = async (event: ChannelEvent): Promise<void> => {
    switch (event.kind) {
      case 'deliver': {
        const id = ++ids
        begun = undefined
        const settled = Promise.resolve(channel.deliver(messageOf(id)))
        running.push({ id, end: (threw) => begunOf(id)?.(threw), settled })
        begins.set(id, begun)
        return
      }
      case 'end': {
        const [one] = running.splice(event.which % Math.max(1, running.length), 1)
        if (one === undefined) return
        one.end(event.threw)
        await one.settled
        model.ended++
        if (model.isOpen) model.told.push(`${event.threw ? 'drop' : 'ack'} ${one.id}`)
        else model.happened('settle_failed')
        return
      }
      case 'cancelled':
        channel.deliver(null)
        return model.happened('consumer_cancelled')
      case 'returned':
        channel.emit('return', { fields: { exchange: '', routingKey: 'clips' } })
        if (model.isHeard) model.happened('returned')
        return
      case 'blocked':
      case 'unblocked':
        channel.connection.emit(event.kind, 'memory')
        if (model.isHeard) model.happened(event.kind)
        return
      case 'error':
        // amqplib itself ends the process where nobody listens; that stays so.
        channel.once('error', () => {})
        channel.emit('error', new Error('PRECONDITION_FAILED'))
        return
      case 'channel':
      case 'connection': {
        if (model.isOpen && model.isHeard) model.happened('channel_closed')
        if (model.isOpen && model.isHeard && event.kind === 'connection') model.happened('connection_closed')
        model.isOpen = false
        model.isHeard = false
        channel.close()
        if (event.kind === 'connection') channel.connection.emit('close', new Error('CONNECTION_FORCED'))
        await Promise.resolve()
        return
      }
      default:
        closing ??= consumer.close()
        await Promise.resolve()
        // It waits for those that run, and listens for as long.
        if (running.length === 0) {
          await closing
          model.isHeard = false
        }
    }
  }
  const begins = new Map<number, ((threw: boolean) => void) | undefined>()
  const begunOf = (id: number) => begins.get(id)
  for (const event of events) {
    if (closing !== undefined && (event.kind === 'deliver' || event.kind === 'end')) continue
    await step(event)
    same('handlers that run', consumer.running, running.length)
  }
  for (const _ of [...running]) await step({ kind: 'end', which: 0, threw: false })
  await (closing ?? consumer.close())

  same(
    'what the broker was told',
    channel.told.map(({ word, message }) => `${word} ${message.fields.deliveryTag}`),
    model.told,
  )
  const counted: [string, number][] = (await metrics.series('taskiq_broker_events_total')).map(({ labels, value }) => [
    String(labels.event),
    value,
  ])
  same('events counted', counted.sort(), [...model.events].sort())
  same('tasks counted', (await metrics.value('taskiq_tasks_total')) ?? 0, model.ended)
  same('tasks that run', (await metrics.value('taskiq_tasks_in_progress')) ?? 0, 0)
  const left = ['close', 'return'].map((event) => channel.listenerCount(event))
  same('listeners left behind', [...left, channel.connection.eventNames().length], [0, 0, 0])
}

const messageOf = (deliveryTag: number): ConsumeMessage =>
  ({
    fields: { consumerTag: 'ctag', deliveryTag, redelivered: false, exchange: '', routingKey: 'clips' },
    properties: { headers: {} },
    content: Buffer.alloc(0),
  }) as unknown as ConsumeMessage

const job = fc.record({
  name: fc.string(),
  queueName: fc.constant('clips'),
  queueQualifiedName: fc.constant('bull:clips'),
  id: fc.string(),
  timestamp: fc.nat(),
  attemptsMade: fc.nat(5),
  stalledCounter: fc.constant(0),
  finishedOn: fc.oneof(fc.nat(), fc.constant(undefined)),
  opts: fc.constant({}),
})
const thrown = fc.oneof(
  fc.string().map((message) => new Error(message)),
  fc.constant(new Error('job started more than allowable limit')),
)

export const workerEvent = fc.oneof(
  fc.record({ kind: fc.constant('failed' as const), job: fc.oneof(job, fc.constant(undefined)), error: thrown }),
  fc.record({ kind: fc.constant('lockRenewalFailed' as const), ids: fc.array(fc.string(), { maxLength: 5 }) }),
  fc.record({ kind: fc.constant('stalled' as const) }),
  fc.record({ kind: fc.constant('error' as const), error: thrown }),
  fc.record({ kind: fc.constant('close' as const) }),
)
export type WorkerEvent = typeof workerEvent extends fc.Arbitrary<infer T> ? T : never

export async function playWorker({ recorded }: Bench, events: readonly WorkerEvent[]): Promise<void> {
  const metrics = recordMetrics(new Registry())
  const t = telemetry({ registry: metrics.registry, logger: recorded.logs.logger })
  const worker = Object.assign(new EventEmitter(), { name: 'clips', opts: {} })
  worker.on('error', () => {})
  const before = worker.eventNames().length
  const observation = bullmq(t).observe(worker as unknown as Worker)
  const model = new Model()
  let failures = 0
  for (const event of events) {
    if (event.kind === 'close') {
      await observation.close()
      model.isHeard = false
      continue
    }
    const given = event.kind === 'failed' ? [event.job, event.error] : event.kind === 'error' ? [event.error] : []
    worker.emit(event.kind, ...(event.kind === 'lockRenewalFailed' ? [event.ids] : given))
    if (!model.isHeard) continue
    if (event.kind === 'stalled') model.happened('stalled')
    else if (event.kind === 'error') model.happened('worker_error')
    else if (event.kind === 'lockRenewalFailed') for (const _ of event.ids) model.happened('lock_lost')
    else if (event.job === undefined) model.happened('failed_unknown_job')
    else if (event.job.finishedOn !== undefined) failures++
  }
  await observation.close()
  const counted: [string, number][] = (await metrics.series('taskiq_broker_events_total')).map(({ labels, value }) => [
    String(labels.event),
    value,
  ])
  same('events counted', counted.sort(), [...model.events].sort())
  same('failures counted', (await metrics.value('taskiq_task_failures_total')) ?? 0, failures)
  holds('listeners are left behind', worker.eventNames().length === before)
}
