// Whatever throws in telemetry: add() resolves, exactly one job is stored, workers go on, and a job's fate is BullMQ's own.
import { types } from 'node:util'
import { diag } from '@opentelemetry/api'
import { type Job, type Processor, UnrecoverableError } from 'bullmq'
import type { Middleware } from 'taskspan'
import { type BullmqInstrument, bullmq, inject, injectBulk, injectFlow, propagation } from 'taskspan/bullmq'
import { describe, expect, it, onTestFinished } from 'vitest'
import { FAULTY, FAULTY_SENDERS } from '../conformance/faulty.ts'
import { ended, openFlow, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'

describe('sending, while this throws', () => {
  const boom = (): never => {
    throw new Error('telemetry broke')
  }
  const middlewares: [string, Middleware][] = [
    ['a middleware that throws', boom as unknown as Middleware],
    ['a middleware that rejects', async () => boom()],
    ['a middleware that rejects after the send', (_, next) => next().then(boom)],
    ['a middleware that never calls next()', async () => undefined],
    ['a middleware that never ends', () => new Promise(() => {})],
    ['a middleware that calls next() later', (_, next) => new Promise(setImmediate).then(next)],
    ['a middleware that calls next() twice', (_, next) => next().then(next)],
  ]

  it.each([
    ...[...FAULTY, ...FAULTY_SENDERS].map((faulty) => ({ ...faulty, middleware: undefined })),
    ...middlewares.map(([title, middleware]) => ({ title, middleware, options: {}, arrange: undefined })),
  ])('$title: every add resolves once, and stores its jobs once', async ({ options, arrange, middleware }) => {
    const { t } = await record(options)
    onTestFinished(() => diag.disable())
    arrange?.()
    const telemetry = propagation(...(middleware === undefined ? [t] : [middleware, t]))
    const [name, flows] = [queueName('render'), queueName('flows')]
    const queue = openQueue(name, { telemetry })
    const counts = async () => [await queue.getJobCountByTypes('wait', 'delayed'), await openQueue(flows).count()]

    expect((await queue.add('render', { clip: 7 }, { jobId: 'clip-7' })).id).toBe('clip-7')
    expect(await counts()).toEqual([1, 0])
    expect(await queue.add('by_hand', {}, inject({ jobId: 'clip-8' }))).toMatchObject({ id: 'clip-8' })
    expect(await queue.addBulk([1, 2, 3].map((clip) => ({ name: 'clip', data: { clip } })))).toHaveLength(3)
    expect(await queue.addBulk(injectBulk([{ name: 'clip', data: {} }]))).toHaveLength(1)
    expect(await queue.upsertJobScheduler('nightly', { every: 60_000 }, { name: 'report' })).toBeDefined()
    expect(await counts()).toEqual([7, 0])

    const flow = { name: 'flow', queueName: flows, opts: {}, children: [{ name: 'step', queueName: name, opts: {} }] }
    expect((await openFlow({ telemetry }).add(flow)).job.name).toBe('flow')
    expect((await openFlow().add(injectFlow(flow))).children).toHaveLength(1)
    expect(await counts()).toEqual([9, 2])

    // And a worker with the same telemetry runs all of it, ticks included.
    const done: Promise<unknown>[] = [name, flows].map((each) =>
      ended(
        openWorker(each, async (job: Job) => job.name, { telemetry: propagation(t), concurrency: 5 }),
        each === name ? 9 : 2,
      ),
    )
    expect((await Promise.all(done)).flat()).toHaveLength(11)
  })

  it("an add that BullMQ refuses rejects with BullMQ's own error, once", async () => {
    await record()
    for (const [, middleware] of middlewares) {
      const queue = openQueue(queueName('render'), { telemetry: propagation(middleware) })
      await expect(queue.add('render', {}, { jobId: '0' })).rejects.toThrow("JobId cannot be '0'")
      expect(await queue.count()).toBe(0)
    }
  })
})

describe("a job's fate is what it would be without us, whatever its handler throws", () => {
  const circular = (): Error => {
    const error = new Error('circular')
    error.cause = { error }
    return error
  }
  const revoked = (): unknown => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    return proxy
  }
  const hostile = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(it, key) {
        if (['message', 'stack', 'name', 'constructor'].includes(String(key))) return Reflect.get(it, key)
        throw new Error(`no ${String(key)}`)
      },
      getPrototypeOf: (it) => hostile(it),
      ownKeys() {
        throw new Error('no keys')
      },
    })
  class Getters extends Error {
    override get name(): string {
      throw new Error('no name')
    }
    get code(): string {
      throw new Error('no code')
    }
  }

  const thrown: [string, () => unknown][] = [
    ['an error', () => new Error('no funds')],
    ['an UnrecoverableError', () => new UnrecoverableError('never')],
    ['a frozen error', () => Object.freeze(new Error('frozen'))],
    ['an error with a message of 5 MB', () => new Error('x'.repeat(5_000_000))],
    ['an error with circular causes', circular],
    ['an error whose getters throw', () => new Getters('mine')],
    ['an error with a symbol as message', () => Object.assign(new Error(), { message: Symbol('message') })],
    ['an error with a number as name', () => Object.assign(new Error('named'), { name: 7 })],
    ['an object without a prototype', () => Object.assign(Object.create(null), { message: 'bare' })],
    ['a proxy that gives nothing away', () => hostile(new Error('proxied'))],
    ['a proxy whose prototypes never end', () => hostile(Object.assign(new Error('proxied'), { name: 'Endless' }))],
    ['an AggregateError', () => new AggregateError([new Error('a'), new Error('b')], 'both')],
    ['a DOMException', () => new DOMException('aborted', 'AbortError')],
    ['a string', () => 'no funds'],
    ['an empty string', () => ''],
    ['a number', () => 42],
    ['a symbol', () => Symbol('no')],
    ['a bigint', () => 7n],
    ['a function', () => function failed() {}],
    ['a rejected promise', () => Promise.reject(new Error('inner'))],
    // BullMQ cannot fail a job with these: it stays active, with an 'error' event, until it stalls.
    ['undefined', () => undefined],
    ['null', () => null],
    ['a revoked proxy', revoked],
    ['an error whose message throws', () => Object.defineProperty(new Error(), 'message', { get: () => revoked() })],
  ]

  /** What BullMQ makes of one job, as far as it can be seen. */
  async function fate(make: () => unknown, instrument?: BullmqInstrument) {
    const queue = openQueue(queueName('pay'))
    const processor: Processor = async () => {
      const error = make()
      if (types.isPromise(error)) return error
      throw error
    }
    const worker = openWorker(queue.name, instrument?.(processor) ?? processor)
    instrument?.observe(worker)
    const events: string[] = []
    const quiet = new Promise<void>((resolve) => {
      worker.on('failed', (job, error) => {
        events.push(`failed ${job?.attemptsMade} ${typeof error}`)
        if (job?.finishedOn !== undefined) resolve()
      })
      worker.on('error', (error) => {
        events.push(`error ${error?.constructor?.name}`)
        if (events[0]?.startsWith('error')) resolve()
      })
    })
    const { id } = await queue.add('pay', {}, { attempts: 2 })
    await quiet
    const job = (await queue.getJob(String(id))) as Job
    return {
      events,
      state: await job.getState(),
      attemptsMade: job.attemptsMade,
      attemptsStarted: job.attemptsStarted,
      failedReason: job.failedReason?.slice(0, 100),
      length: job.failedReason?.length,
      stacktrace: job.stacktrace?.length,
    }
  }

  it.each(thrown)('%s', async (_, make) => {
    const { t } = await record({ onFailure: () => {} })
    expect(await fate(make, bullmq(t))).toEqual(await fate(make))
  })

  it.each<[string, () => unknown]>([
    ['undefined', () => undefined],
    ['null', () => null],
    ['5 MB', () => 'x'.repeat(5_000_000)],
    ['a function', () => () => {}],
    ['a bigint', () => 7n],
    ['a proxy', () => hostile({ fine: true })],
    ['NaN', () => Number.NaN],
  ])('and whatever it returns: %s', async (_, make) => {
    const results: unknown[] = []
    for (const wrap of [(p: Processor) => p, bullmq((await record()).t)]) {
      const queue = openQueue(queueName('pay'))
      const worker = openWorker(
        queue.name,
        wrap(async () => make()),
      )
      const done = ended(worker)
      const { id } = await queue.add('pay', {})
      const [end] = await done
      const job = (await queue.getJob(String(id))) as Job
      results.push([end?.event, job.returnvalue, job.failedReason])
    }
    expect(results[1]).toEqual(results[0])
  })
})
