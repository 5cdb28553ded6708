// BullMQ's other backend: what its storage and its events do differently must not show in the telemetry.
import { trace } from '@opentelemetry/api'
import { DelayedError, type Job, type Queue, UnrecoverableError, type Worker } from 'bullmq'
import { bullmq, inject, injectFlow, propagation } from 'taskspan/bullmq'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Broker, openEmbedded } from '../../examples/demo/embedded.ts'
import { ended, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'

let broker: Broker

// Building a database takes 3 to 11 s on a small machine, and longer on a busy one.
beforeAll(async () => {
  broker = await openEmbedded()
}, 90_000)
afterAll(() => broker?.close())

const request = <T>(fn: () => Promise<T>): Promise<T> =>
  trace.getTracer('test').startActiveSpan('request', async (span) => {
    try {
      return await fn()
    } finally {
      span.end()
    }
  })

it('adds, bulks and flows carry their `send`, by propagation() and by hand', async () => {
  const { t, spans } = await record()
  const [name, top] = [queueName('clips'), queueName('exports')]
  const queue = broker.queue(name, { telemetry: propagation() })
  const instrument = bullmq(t)
  const worker = broker.worker(
    name,
    instrument(async () => {}),
    { telemetry: propagation(), concurrency: 5 },
  ) as Worker
  const parents = broker.worker(
    top,
    instrument(async () => {}),
  ) as Worker
  const done = [ended(worker, 5), ended(parents, 1)]
  await request(() => queue.add('one', {}, { priority: 2 }))
  await request(() => queue.addBulk([1, 2].map((clip) => ({ name: 'bulk', data: { clip } }))))
  await request(() =>
    broker.flow().add(injectFlow({ name: 'flow', queueName: top, children: [{ name: 'leaf', queueName: name }] })),
  )
  await queue.add('report', {}, inject({}, { schedule: 'nightly' }))
  await Promise.all(done)
  for (const task of ['one', 'bulk', 'flow', 'leaf']) {
    for (const { parent } of spans.named(`taskiq.${task}`)) expect(parent?.kind).toBe('producer')
  }
  expect(spans.named('taskiq.bulk')).toHaveLength(2)
  expect(spans.one('taskiq.flow').attributes).not.toHaveProperty(['taskiq.wait_ms'])
  expect(spans.one('taskiq.report').attributes).toMatchObject({ task_type: 'cron', 'taskiq.schedule.id': 'nightly' })
  const plumbing = spans.spans.filter((span) => !/^(request|send |taskiq\.)/.test(span.name))
  expect(plumbing).toEqual([])
})

it('ten ticks are ten traces, linked to the send of the scheduler', async () => {
  const { t, spans } = await record()
  const telemetry = propagation()
  const queue = broker.queue(queueName('reports'), { telemetry })
  const worker = broker.worker(
    queue.name,
    bullmq(t)(async () => {}),
    { telemetry },
  ) as Worker
  const done = ended(worker, 10)
  await request(() => queue.upsertJobScheduler('team:nightly', { every: 40 }, { name: 'report' }))
  await done
  await queue.removeJobScheduler('team:nightly')
  const send = spans.one(`send ${queue.name}`)
  const ticks = (await spans.waitFor('taskiq.report', 10)).slice(0, 10)
  expect(new Set(ticks.map(({ traceId }) => traceId)).size).toBe(10)
  for (const tick of ticks) {
    expect(tick.links).toMatchObject([{ traceId: send.traceId, spanId: send.spanId }])
    expect(tick.attributes).toMatchObject({ 'taskiq.schedule.id': 'team:nightly', task_type: 'cron' })
    expect(tick.attributes['taskiq.schedule.drift_ms']).toBeLessThan(5_000)
  }
})

it('deferral, retry and the end are told apart, and the carrier survives them', async () => {
  const { t, spans } = await record()
  const queue = broker.queue(queueName('pay'), { telemetry: propagation() }) as Queue
  const worker = broker.worker(
    queue.name,
    bullmq(t)(async (job: Job, token?: string) => {
      if (job.attemptsStarted === 1) {
        await job.moveToDelayed(Date.now() + 5, token)
        throw new DelayedError()
      }
      throw job.attemptsMade === 0 ? new Error('again') : new UnrecoverableError('never')
    }),
    { telemetry: propagation() },
  ) as Worker
  const done = ended(worker, 2)
  await queue.add('pay', {}, { attempts: 5 })
  await done
  const runs = await spans.waitFor('taskiq.pay', 3)
  const send = spans.one(`send ${queue.name}`)
  expect(runs.map(({ attributes }) => attributes['taskiq.outcome'])).toEqual(['deferred', 'retry', 'failure'])
  expect(runs.map(({ parentSpanId }) => parentSpanId)).toEqual([send.spanId, send.spanId, send.spanId])
})

it('a job that stalls is one lost attempt, told by the run that follows', async () => {
  const { t, spans, metrics } = await record()
  const queue = broker.queue(queueName('render'))
  const options = { lockDuration: 50, skipLockRenewal: true, stalledInterval: 60 }
  await queue.add('render', {})
  const hanging = await new Promise<Worker>((resolve) => {
    const worker = broker.worker(queue.name, () => new Promise(() => resolve(worker)), options) as Worker
  })
  const instrument = bullmq(t)
  const worker = broker.worker(
    queue.name,
    instrument(async () => {}),
    { stalledInterval: 60 },
  ) as Worker
  instrument.observe(worker)
  await ended(worker)
  await hanging.close(true)
  const [lost, recovering] = await spans.waitFor('taskiq.render', 2)
  expect(lost?.attributes['taskiq.outcome']).toBe('lost')
  expect(recovering?.links).toMatchObject([{ spanId: lost?.spanId }])
  expect(await metrics.value('taskiq_tasks_lost_total')).toBe(1)
})
