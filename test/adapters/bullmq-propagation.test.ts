// propagation() over a worker's life: schedulers, shared objects, and silence about BullMQ's plumbing.
import { propagation as baggageApi, context, trace } from '@opentelemetry/api'
import type { Job } from 'bullmq'
import { bullmq, propagation } from 'taskspan/bullmq'
import type { SpanRecorder } from 'taskspan/testing'
import { describe, expect, it } from 'vitest'
import { emitted, ended, openFlow, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'

const request = <T>(fn: () => Promise<T> | T): Promise<T> =>
  trace.getTracer('test').startActiveSpan('request', async (span) => {
    const baggage = baggageApi.createBaggage({ session: { value: 's-1' } })
    try {
      return await context.with(baggageApi.setBaggage(context.active(), baggage), fn)
    } finally {
      span.end()
    }
  })

const names = ({ spans }: SpanRecorder): string[] => spans.map(({ name }) => name).sort()

describe('a scheduler', () => {
  it('ten ticks are ten traces, each linked to the send that made the scheduler', async () => {
    const { t, spans } = await record()
    const queue = openQueue(queueName('reports'), { telemetry: propagation() })
    const worker = openWorker(
      queue.name,
      bullmq(t)(async () => {}),
      { telemetry: propagation() },
    )
    const done = ended(worker, 10)
    await request(() => queue.upsertJobScheduler('nightly', { every: 30 }, { name: 'report' }))
    await done
    await queue.removeJobScheduler('nightly')

    const send = spans.one(`send ${queue.name}`)
    expect(send).toMatchObject({ kind: 'producer', parent: { name: 'request' } })
    const ticks = (await spans.waitFor('taskiq.report', 10)).slice(0, 10)
    expect(new Set(ticks.map(({ traceId }) => traceId)).size).toBe(10)
    for (const tick of ticks) {
      expect(tick.traceId).not.toBe(send.traceId)
      expect(tick.parentSpanId).toBeUndefined()
      expect(tick.links).toMatchObject([{ traceId: send.traceId, spanId: send.spanId }])
    }
    expect(new Set(names(spans))).toEqual(new Set(['request', send.name, 'taskiq.report']))
  })

  it.each([
    ['of its own', () => ({ queue: undefined, worker: propagation() })],
    [
      'that it shares with a queue',
      () => {
        const shared = propagation()
        return { queue: shared, worker: shared }
      },
    ],
  ])('a worker with a propagation() %s makes no `send` of its own for a tick', async (_, make) => {
    const { t, spans } = await record()
    const telemetry = make()
    const name = queueName('reports')
    // Upserted by somebody without telemetry: no tick has a carrier, and none must get one.
    await openQueue(name).upsertJobScheduler('nightly', { every: 20 }, { name: 'report' })
    const queue = openQueue(name, telemetry.queue && { telemetry: telemetry.queue })
    const worker = await request(() =>
      openWorker(
        name,
        bullmq(t)(async () => {}),
        { telemetry: telemetry.worker, concurrency: 2 },
      ),
    )
    await ended(worker, 6)
    await queue.removeJobScheduler('nightly')
    expect(new Set(names(spans))).toEqual(new Set(['request', 'taskiq.report']))
    expect(spans.named('taskiq.report').flatMap(({ links }) => links)).toEqual([])
    expect(spans.named('taskiq.report').flatMap(({ parentSpanId }) => parentSpanId ?? [])).toEqual([])
  })
})

describe('one propagation() for a queue and a worker', () => {
  it('sends what is added while the worker runs: outside of everything, in a request, in a task', async () => {
    const { t, spans } = await record()
    const telemetry = propagation(t)
    const queue = openQueue(queueName('render'), { telemetry })
    const worker = openWorker(
      queue.name,
      bullmq(t)(async (job: Job) => {
        if (job.name === 'request') await queue.add('inner', {})
      }),
      { telemetry },
    )
    await worker.waitUntilReady()
    const first = ended(worker, 1)
    await queue.add('outside', {})
    await first
    const rest = ended(worker, 2)
    await request(() => queue.add('request', {}))
    await rest

    const [outside, inRequest, inTask] = await spans.waitFor(`send ${queue.name}`, 3)
    expect(outside?.parentSpanId).toBeUndefined()
    expect(spans.one('taskiq.outside').parentSpanId).toBe(outside?.spanId)
    expect(inRequest?.parent?.name).toBe('request')
    expect(spans.one('taskiq.request').parentSpanId).toBe(inRequest?.spanId)
    expect(inTask?.parent?.name).toBe('taskiq.request')
    expect((await spans.waitFor('taskiq.inner')).parentSpanId).toBe(inTask?.spanId)
  })

  it('sends what a processor adds that nobody instrumented', async () => {
    const { spans } = await record()
    const telemetry = propagation()
    const queue = openQueue(queueName('render'), { telemetry })
    const worker = openWorker(
      queue.name,
      async (job: Job) => {
        if (job.name === 'outer') await queue.add('inner', {})
      },
      { telemetry },
    )
    const done = ended(worker, 2)
    await queue.add('outer', {})
    await done
    const [outer, inner] = await spans.waitFor(`send ${queue.name}`, 2)
    // The worker's own telemetry hands the trace on to its processor.
    expect(inner?.parentSpanId).toBe(outer?.spanId)
  })
})

describe('a worker made inside a request', () => {
  it.each([
    ['instrumented', true],
    ['not instrumented', false],
  ])('gives nothing of it to its processor: %s', async (_, instrumented) => {
    const { t, spans } = await record()
    const queue = openQueue(queueName('render'))
    let inside: unknown
    const processor = async () => {
      inside = {
        traceId: trace.getSpanContext(context.active())?.traceId,
        baggage: baggageApi.getBaggage(context.active()),
      }
    }
    const worker = await request(() =>
      openWorker(queue.name, instrumented ? bullmq(t)(processor) : processor, { telemetry: propagation() }),
    )
    const done = ended(worker)
    await queue.add('render', {})
    await done
    const traceId = instrumented ? spans.one('taskiq.render').traceId : undefined
    expect(inside).toEqual({ traceId, baggage: undefined })
    expect(traceId).not.toBe(spans.one('request').traceId)
  })
})

describe('plumbing', () => {
  it('makes no span, whatever a queue and its workers do for two seconds', async () => {
    const { t, spans } = await record()
    const telemetry = propagation(t)
    const queue = openQueue(queueName('render'), { telemetry })
    const instrument = bullmq(t)
    let begin = (finish: () => void): void => void finish
    const begun = new Promise<() => void>((resolve) => {
      begin = resolve
    })
    const processor = instrument(async (job: Job) => {
      await job.updateProgress(50)
      await job.log('half')
      if (job.name === 'long') await new Promise<void>((finish) => begin(finish))
      if (job.name === 'bad') throw new Error('bad')
    })
    const options = { telemetry, lockRenewTime: 100, stalledInterval: 100, drainDelay: 1 }
    const workers = [openWorker(queue.name, processor, options), openWorker(queue.name, processor, options)]
    const [first] = workers
    const idle = new Promise((resolve) => setTimeout(resolve, 2_000))

    const failed = (): Promise<unknown> => Promise.race(workers.map((worker) => emitted(worker as never, 'failed')))
    await first?.pause()
    first?.resume()
    await queue.pause()
    await queue.resume()
    const long = await queue.add('long', {})
    const once = failed()
    const bad = await queue.add('bad', {}, { attempts: 1 })
    await once
    const again = failed()
    await queue.retryJobs({ state: 'failed' })
    await again
    await bad.retry().catch(() => {})
    const later = await queue.add('later', {}, { delay: 60_000 })
    await later.changeDelay(50_000)
    await later.updateData({ changed: true })
    await later.promote()
    await queue.promoteJobs()
    await queue.getJobs()
    await queue.getJobCounts()
    await queue.setGlobalConcurrency(5)
    await queue.upsertJobScheduler('nightly', { every: 100_000 }, { name: 'report' })
    await queue.removeJobScheduler('nightly')
    await queue.addBulk([{ name: 'bulk', data: {} }])
    await openFlow({ telemetry }).add({ name: 'flow', queueName: queue.name, opts: {} })
    await idle // long enough for lock renewals and searches for stalled jobs, around a job and without one
    const finish = await begun
    finish()
    await long.isCompleted()
    await queue.clean(0, 100, 'completed')
    await queue.drain()
    await first?.rateLimit(1)
    await Promise.all(workers.map((worker) => worker.close()))
    await queue.obliterate({ force: true })
    await queue.close()

    const sent = names(spans).filter((name) => !name.startsWith('taskiq.'))
    // long, bad, later, the scheduler, the bulk call, the flow's node
    expect(sent).toEqual(new Array(6).fill(`send ${queue.name}`))
    expect(names(spans)).toEqual(
      expect.arrayContaining(['taskiq.bad', 'taskiq.bulk', 'taskiq.flow', 'taskiq.later', 'taskiq.long']),
    )
    expect(spans.open).toEqual([])
  })
})
