// The sender's side: job options that carry the trace, by hand and through BullMQ's telemetry option.
import { trace } from '@opentelemetry/api'
import type { BulkJobOptions, FlowJob, Job, JobsOptions } from 'bullmq'
import { Redis } from 'ioredis'
import { bullmq, inject, injectBulk, injectFlow, propagation } from 'taskspan/bullmq'
import { bind } from 'taskspan/logging'
import type { RecordedSpan } from 'taskspan/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ended, openFlow, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { type Recorded, record } from '../support/record.ts'
import { redisConnection } from '../support/redis.ts'

/** Runs `fn` inside a span, as an HTTP server's handler runs. */
function request<T>(fn: () => Promise<T> | T): Promise<T> {
  return trace.getTracer('test').startActiveSpan('request', async (span) => {
    try {
      return await fn()
    } finally {
      span.end()
    }
  })
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) freeze(item)
  return Object.freeze(value)
}

/** What a carrier says, out of job options. */
const carried = (options: JobsOptions | BulkJobOptions | undefined): Record<string, string> =>
  JSON.parse(String(options?.telemetry?.metadata ?? '{}'))

const carrierOf = (span: RecordedSpan) => `00-${span.traceId}-${span.spanId}-01`

/** A worker for each queue that runs everything; resolves when `count` jobs have ended. */
function consumeAll({ t }: Recorded, queues: readonly string[], count: number): Promise<unknown> {
  const instrument = bullmq(t)
  let left = count
  return new Promise<void>((resolve) => {
    for (const queue of queues) {
      const worker = openWorker(
        queue,
        instrument(async () => {}),
      )
      worker.on('completed', () => {
        if (--left === 0) resolve()
      })
    }
  })
}

describe('inject', () => {
  it('adds the current trace to a copy, and makes no span', async () => {
    const { spans } = await record()
    const options = freeze({ attempts: 3, backoff: { type: 'fixed', delay: 5 } })
    const injected = await request(() => inject(options))
    expect(injected).toEqual({ ...options, telemetry: { metadata: expect.any(String) } })
    expect(carried(injected)).toEqual({ traceparent: carrierOf(spans.one('request')) })
    expect(spans.spans.map(({ name }) => name)).toEqual(['request'])
    expect(options).not.toHaveProperty('telemetry')
  })

  it('gives options without a carrier where there is nothing to carry', async () => {
    await record()
    expect(inject()).toEqual({})
    expect(inject({ attempts: 3 })).toEqual({ attempts: 3 })
  })

  it('keeps omitContext, and what stood beside it', async () => {
    await record()
    const options = freeze({ telemetry: { omitContext: true, metadata: 'mine' } })
    expect(await request(() => inject(options))).toEqual(options)
  })

  it('continues the trace in the worker', async () => {
    const recorded = await record()
    const queue = openQueue(queueName('render'))
    const done = consumeAll(recorded, [queue.name], 1)
    await request(() => queue.add('render_clip', {}, inject({ attempts: 2 })))
    await done
    expect((await recorded.spans.waitFor('taskiq.render_clip')).parent?.name).toBe('request')
  })

  it('says that a schedule enqueued the task, also through a queue with propagation()', async () => {
    const recorded = await record()
    for (const telemetry of [undefined, propagation()]) {
      const queue = openQueue(queueName('reports'), telemetry && { telemetry })
      const done = consumeAll(recorded, [queue.name], 1)
      await request(() => queue.add('report', {}, inject({}, { schedule: 'nightly' })))
      await done
    }
    const runs = await recorded.spans.waitFor('taskiq.report', 2)
    for (const run of runs) {
      expect(run.attributes).toMatchObject({
        task_type: 'cron',
        'taskiq.schedule.id': 'nightly',
        'taskiq.schedule.time': expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      })
      // A run of a schedule is a trace of its own, linked to who asked for it.
      expect(run.parentSpanId).toBeUndefined()
      expect(run.links).toHaveLength(1)
    }
    const [request1] = recorded.spans.named('request')
    expect(runs[0]?.links[0]?.spanId).toBe(request1?.spanId)
    const send = recorded.spans.spans.find(({ name }) => name.startsWith('send reports'))
    expect(runs[1]?.links[0]?.spanId).toBe(send?.spanId)
  })

  it('carries only the correlation keys that are allowed', async () => {
    await record({ correlation: ['request_id'] })
    const injected = await bind({ request_id: 'r-1', user: 'u-1' }, () => request(() => inject()))
    expect(carried(injected)).toEqual({ traceparent: expect.any(String), baggage: 'request_id=r-1' })
  })
})

describe('injectBulk', () => {
  it('gives each job a `send` span and a carrier of its own, and copies', async () => {
    const recorded = await record()
    const queue = openQueue(queueName('render'))
    const jobs = freeze([
      { name: 'first', data: { clip: 1 }, opts: { priority: 3 } },
      { name: 'second', data: { clip: 2 } },
      { name: 'third', data: { clip: 3 }, opts: { telemetry: { omitContext: true } } },
    ])
    const injected = await request(() => injectBulk(jobs, { queue: queue.name }))
    expect(
      injected.map(({ name, data, opts }) => [name, data, (opts as BulkJobOptions | undefined)?.priority]),
    ).toEqual([
      ['first', { clip: 1 }, 3],
      ['second', { clip: 2 }, undefined],
      ['third', { clip: 3 }, undefined],
    ])
    const sends = recorded.spans.named(`send ${queue.name}`)
    expect(sends.map(({ kind, parent, attributes }) => [kind, parent?.name, attributes['taskiq.task.name']])).toEqual([
      ['producer', 'request', 'first'],
      ['producer', 'request', 'second'],
      ['producer', 'request', 'third'],
    ])
    expect(injected.map(({ opts }) => carried(opts).traceparent)).toEqual([
      carrierOf(sends[0] as RecordedSpan),
      carrierOf(sends[1] as RecordedSpan),
      undefined,
    ])

    const done = consumeAll(recorded, [queue.name], 3)
    await queue.addBulk(injected as { name: string; data: unknown }[])
    await done
    expect((await recorded.spans.waitFor('taskiq.second')).parentSpanId).toBe(sends[1]?.spanId)
    expect((await recorded.spans.waitFor('taskiq.third')).parentSpanId).toBeUndefined()
  })

  it('keeps its carriers also in a queue with propagation()', async () => {
    const recorded = await record()
    const queue = openQueue(queueName('render'), { telemetry: propagation() })
    const done = consumeAll(recorded, [queue.name], 1)
    const [job] = await queue.addBulk(injectBulk([{ name: 'one', data: {} }], { queue: queue.name }))
    await done
    const task = await recorded.spans.waitFor('taskiq.one')
    expect(carried(job?.opts).traceparent).toBe(carrierOf(task.parent as RecordedSpan))
    expect(task.parent?.attributes).not.toHaveProperty(['messaging.batch.message_count'])
  })
})

describe('injectFlow', () => {
  it('reaches every node, at any depth, also nodes without options, and writes to none', async () => {
    const recorded = await record()
    const [top, middle, leaf] = [queueName('exports'), queueName('scenes'), queueName('clips')]
    const flow = freeze<FlowJob>({
      name: 'export',
      queueName: top,
      data: { project: 1 },
      children: [
        {
          name: 'scene',
          queueName: middle,
          opts: { attempts: 2 },
          children: [
            { name: 'clip', queueName: leaf },
            { name: 'sound', queueName: leaf, children: [] },
          ],
        },
      ],
    })
    const done = consumeAll(recorded, [top, middle, leaf], 4)
    await request(() => openFlow().add(injectFlow(flow)))
    await done
    for (const [name, queue] of [
      ['export', top],
      ['scene', middle],
      ['clip', leaf],
      ['sound', leaf],
    ] as const) {
      const task = await recorded.spans.waitFor(`taskiq.${name}`)
      expect(task.parent).toMatchObject({ name: `send ${queue}`, kind: 'producer' })
      expect(task.parent?.attributes['taskiq.task.name']).toBe(name)
      expect(task.traceId).toBe(recorded.spans.one('request').traceId)
    }
    expect(recorded.spans.spans.filter(({ kind }) => kind === 'producer')).toHaveLength(4)
  })

  it('reaches the end of a chain of thousands, each below the one before', async () => {
    const { spans } = await record()
    let flow: FlowJob = { name: 'n0', queueName: 'chain' }
    for (let at = 1; at < 3_000; at++) flow = { name: `n${at}`, queueName: 'chain', children: [flow] }
    let last = injectFlow(flow)
    for (let below = last.children?.[0]; below !== undefined; below = last.children?.[0]) last = below
    expect(last.name).toBe('n0')
    const sent = spans.named('send chain')
    expect(sent).toHaveLength(3_000)
    expect(sent.find(({ attributes }) => attributes['taskiq.task.name'] === 'n0')?.parent?.attributes).toMatchObject({
      'taskiq.task.name': 'n1',
    })
    expect(last.opts?.telemetry?.metadata).toContain(sent[0]?.traceId)
  })
})

describe('propagation()', () => {
  it('gives each add a `send` span with its attributes, and the task below it', async () => {
    const recorded = await record()
    const queue = openQueue(queueName('render'), { telemetry: propagation(recorded.t) })
    const done = consumeAll(recorded, [queue.name], 1)
    const options = freeze({ attempts: 2, jobId: 'clip-7', telemetry: { metadata: 'old' } })
    const job = await request(() => queue.add('render_clip', { clip: 7 }, options))
    await done
    const send = await recorded.spans.waitFor(`send ${queue.name}`)
    expect(send).toMatchObject({
      kind: 'producer',
      status: 'unset',
      parent: { name: 'request' },
      attributes: {
        'messaging.system': 'bullmq',
        'messaging.operation.name': 'send',
        'messaging.operation.type': 'send',
        'messaging.destination.name': queue.name,
        'messaging.message.id': 'clip-7',
        'taskiq.task.name': 'render_clip',
      },
    })
    expect(carried(job.opts)).toEqual({ traceparent: carrierOf(send) })
    expect((await recorded.spans.waitFor('taskiq.render_clip')).parentSpanId).toBe(send.spanId)
    const labels = { queue: queue.name, task_name: 'render_clip' }
    expect(await recorded.metrics.value('taskiq_messages_sent_total', labels)).toBe(1)
    expect(recorded.spans.open).toEqual([])
  })

  it('leaves a job alone that wants no context', async () => {
    const recorded = await record()
    const queue = openQueue(queueName('render'), { telemetry: propagation() })
    const job = await queue.add('render', {}, { telemetry: { omitContext: true } })
    expect(job.opts.telemetry).toEqual({ omitContext: true })
    expect(recorded.spans.named(`send ${queue.name}`)).toHaveLength(1)
  })

  it('gives a bulk call one `send` span that says how many, and every task below it', async () => {
    const recorded = await record()
    const queue = openQueue(queueName('render'), { telemetry: propagation(recorded.t) })
    const done = consumeAll(recorded, [queue.name], 3)
    const jobs = freeze([1, 2, 3].map((clip) => ({ name: 'clip', data: { clip }, opts: { priority: clip } })))
    await queue.addBulk(jobs)
    await done
    const send = recorded.spans.one(`send ${queue.name}`)
    expect(send.attributes).toMatchObject({ 'messaging.batch.message_count': 3 })
    const tasks = await recorded.spans.waitFor('taskiq.clip', 3)
    expect(tasks.map(({ parentSpanId }) => parentSpanId)).toEqual([send.spanId, send.spanId, send.spanId])
    const labels = { queue: queue.name, task_name: 'clip' }
    expect(await recorded.metrics.value('taskiq_messages_sent_total', labels)).toBe(3)
  })

  it('gives each node of a flow a `send` span, and none to the flow as a whole', async () => {
    const recorded = await record()
    const [top, leaf] = [queueName('exports'), queueName('clips')]
    const done = consumeAll(recorded, [top, leaf], 3)
    const producer = openFlow({ telemetry: propagation(recorded.t) })
    const flow = freeze<FlowJob>({
      name: 'export',
      queueName: top,
      opts: {},
      children: [
        { name: 'clip', queueName: leaf, opts: {} },
        { name: 'sound', queueName: leaf, opts: { attempts: 2 } },
      ],
    })
    await request(() => producer.add(flow))
    await done
    const sends = recorded.spans.spans.filter(({ kind }) => kind === 'producer')
    expect(sends.map(({ name }) => name).sort()).toEqual([`send ${leaf}`, `send ${leaf}`, `send ${top}`].sort())
    for (const name of ['export', 'clip', 'sound']) {
      const task = await recorded.spans.waitFor(`taskiq.${name}`)
      expect(task.parent?.kind).toBe('producer')
      expect(task.traceId).toBe(recorded.spans.one('request').traceId)
    }
    expect(await recorded.metrics.value('taskiq_messages_sent_total', { task_name: 'sound' })).toBe(1)
    // A parent's wait for its children is no wait for a worker.
    expect(recorded.spans.one('taskiq.export').attributes).not.toHaveProperty(['taskiq.wait_ms'])
    expect(recorded.spans.one('taskiq.clip').attributes).toHaveProperty(['taskiq.wait_ms'])
  })

  it('says that a send failed when BullMQ refused it, and rejects with its very error', async () => {
    const recorded = await record()
    const queue = openQueue(queueName('render'), { telemetry: propagation(recorded.t) })
    let refused: unknown
    await queue.add('render', {}, { jobId: '0' }).catch((error: unknown) => {
      refused = error
    })
    expect(refused).toBeInstanceOf(Error)
    const send = await recorded.spans.waitFor(`send ${queue.name}`)
    expect(send).toMatchObject({ status: 'error', statusMessage: (refused as Error).message })
    expect(await recorded.metrics.value('taskiq_messages_sent_total')).toBeUndefined()
    expect(await recorded.faults()).toBe(0)
  })

  it('leaves the carrier as the sender wrote it, attempt for attempt, and nothing of a retry in the stored job', async () => {
    const recorded = await record()
    const redis = new Redis(redisConnection())
    onTestFinished(() => redis.disconnect())
    const stored: string[][] = []
    for (const telemetry of [propagation(), undefined]) {
      const queue = openQueue(queueName('pay'), telemetry && { telemetry })
      const seen: unknown[] = []
      const processor = bullmq(recorded.t)(async (job: Job) => {
        seen.push(job.opts.telemetry?.metadata)
        if (job.attemptsMade < 2) throw new Error('again')
        stored.push(Object.keys(await redis.hgetall(queue.toKey(String(job.id)))).sort())
      })
      const worker = openWorker(queue.name, processor, telemetry && { telemetry: propagation() })
      const done = ended(worker, 3)
      const job = await request(() =>
        queue.add('pay', {}, inject({ attempts: 3, backoff: { type: 'fixed', delay: 1 } })),
      )
      await done
      expect(job.opts.telemetry?.metadata).toContain('traceparent')
      expect(seen).toEqual([1, 2, 3].map(() => job.opts.telemetry?.metadata))
    }
    expect(stored[0]).toContain('failedReason')
    expect(stored[0]).toEqual(stored[1])
  })
})
