// A middleware that misbehaves around a send: add() resolves, exactly one job is stored, and workers go on.
import type { Job } from 'bullmq'
import type { Middleware } from 'taskspan'
import { inject, injectBulk, injectFlow, propagation } from 'taskspan/bullmq'
import { describe, expect, it } from 'vitest'
import { ended, openFlow, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'

describe('sending through', () => {
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

  it.each(middlewares)('%s: every add resolves once, and stores its jobs once', async (_, middleware) => {
    const { t } = await record()
    const telemetry = propagation(middleware, t)
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
