// What a BullMQ job says of its task: name, attempts, wait, schedule, carrier; and what a wrapped processor keeps.
import type { Job, JobsOptions } from 'bullmq'
import { currentTask, type Task, TaskspanError } from 'taskspan'
import { bullmq, inject, injectFlow } from 'taskspan/bullmq'
import { describe, expect, it } from 'vitest'
import { ended, openFlow, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { type Recorded, record } from '../support/record.ts'

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

/** Adds one job, runs it, and gives what its first run was taken for. */
async function run(name: string, opts: JobsOptions = {}, recorded?: Recorded): Promise<Task> {
  const { t } = recorded ?? (await record())
  const queue = openQueue(queueName('render'))
  let task: Task | undefined
  const worker = openWorker(
    queue.name,
    bullmq(t)(async () => {
      task ??= currentTask()
    }),
  )
  const done = ended(worker)
  await queue.add(name, {}, opts)
  await done
  return task as Task
}

describe('a job as a task', () => {
  it('has its own name, queue and id', async () => {
    const recorded = await record()
    const task = await run('render_clip', { jobId: 'clip-7' }, recorded)
    expect(task).toMatchObject({ name: 'render_clip', id: 'clip-7', system: 'bullmq', type: 'on_demand' })
    expect(task.queue).toMatch(/^render-/)
    const span = await recorded.spans.waitFor('taskiq.render_clip')
    expect(span.attributes['messaging.message.id']).toBe('clip-7')
  })

  it('has the name that its processor was given', async () => {
    const { t } = await record()
    const queue = openQueue(queueName('render'))
    const names: (string | undefined)[] = []
    const processor = async () => void names.push(currentTask()?.name)
    const worker = openWorker(queue.name, bullmq(t)(processor, { name: 'render_any' }))
    const done = ended(worker)
    await queue.add('render_clip', {})
    await done
    expect(names).toEqual(['render_any'])
    expect(() => bullmq(t)(processor, { nam: 'x' } as never)).toThrow(/unknown option 'nam'/)
  })

  it('has the name of its queue when it has none', async () => {
    const task = await run('__default__')
    expect(task.name).toBe(task.queue)
  })

  it('has its name as written, cut at 128 characters', async () => {
    const recorded = await record()
    expect((await run(`Ünïcode name, with 'quotes'`, {}, recorded)).name).toBe(`Ünïcode name, with 'quotes'`)
    expect((await run('n'.repeat(500), {}, recorded)).name).toBe('n'.repeat(128))
  })

  it('has its priority, and its number of attempts where it is more than one', async () => {
    const recorded = await record()
    const task = await run('render', { priority: 7, attempts: 5 }, recorded)
    expect(task).toMatchObject({ priority: 7, maxAttempts: 5, attempt: 1 })
    expect((await recorded.spans.waitFor('taskiq.render')).attributes).toMatchObject({
      'taskiq.priority': 7,
      'taskiq.max_attempts': 5,
    })
    expect(await run('render', {}, recorded)).toMatchObject({ priority: undefined, maxAttempts: 1 })
  })

  it('is read from top-level job options when no telemetry wrote a carrier', async () => {
    const recorded = await record()
    await run('render', { traceparent: TRACEPARENT } as JobsOptions, recorded)
    expect((await recorded.spans.waitFor('taskiq.render')).parentSpanId).toBe('b7ad6b7169203331')
  })

  it('is a scheduled task when its sender says so', async () => {
    const recorded = await record()
    const before = Date.now()
    const task = await run('report', inject({ priority: 2 }, { schedule: 'nightly' }), recorded)
    expect(task).toMatchObject({ type: 'cron', priority: 2, schedule: { id: 'nightly' } })
    expect(task.schedule?.time).toBeGreaterThanOrEqual(before)
    const { attributes } = await recorded.spans.waitFor('taskiq.report')
    expect(attributes).toMatchObject({
      task_type: 'cron',
      'taskiq.schedule.id': 'nightly',
      'taskiq.schedule.time': new Date(Number(task.schedule?.time)).toISOString(),
    })
  })
})

describe('the wait', () => {
  it('is the time between being added and being fetched', async () => {
    const { t, spans, metrics } = await record()
    const queue = openQueue(queueName('render'))
    const job = await queue.add('render', {}, { timestamp: Date.now() - 5_000 })
    const worker = openWorker(
      queue.name,
      bullmq(t)(async () => {}),
    )
    const [done] = await ended(worker)
    const wait = Number(done?.job.processedOn) - job.timestamp
    expect(wait).toBeGreaterThanOrEqual(5_000)
    const { attributes } = await spans.waitFor('taskiq.render')
    expect(attributes['taskiq.wait_ms']).toBe(wait)
    expect(attributes['messaging.message.receive.latency']).toBe(wait)
    const labels = { queue: queue.name, task_name: 'render' }
    expect(await metrics.value('taskiq_task_wait_seconds_sum', labels)).toBe(wait / 1_000)
  })

  it('leaves out a deliberate delay', async () => {
    const task = await run('render', { delay: 300 })
    expect(task.waitMs).toBeGreaterThanOrEqual(0)
    expect(task.waitMs).toBeLessThan(250)
  })

  it('is unknown for a later attempt, and after a job was put off', async () => {
    const { t, spans, metrics } = await record()
    const queue = openQueue(queueName('render'))
    const worker = openWorker(
      queue.name,
      bullmq(t)(async (job: Job, token?: string) => {
        if (job.attemptsStarted === 1) {
          await job.moveToDelayed(Date.now() + 5, token)
          throw Object.assign(new Error('later'), { name: 'DelayedError' })
        }
        if (job.attemptsMade === 0) throw new Error('again')
      }),
    )
    await queue.add('render', {}, { attempts: 2 })
    await ended(worker, 2)
    const runs = await spans.waitFor('taskiq.render', 3)
    expect(runs.map(({ attributes }) => attributes['taskiq.wait_ms'])).toEqual([
      expect.any(Number),
      undefined,
      undefined,
    ])
    expect(runs.map(({ attributes }) => attributes['taskiq.attempt'])).toEqual([1, 1, 2])
    expect(await metrics.value('taskiq_task_wait_seconds_count')).toBe(1)
  })
})

describe('a tick of a scheduler', () => {
  it('is a cron task with its schedule, its planned time, its drift, and a wait from the planned time on', async () => {
    const { t, spans, metrics } = await record()
    const queue = openQueue(queueName('reports'))
    const instrument = bullmq(t)
    const tasks: Task[] = []
    const processor = instrument(async () => {
      tasks.push(currentTask() as Task)
    })
    await queue.upsertJobScheduler('team:nightly:7', { every: 200 }, { name: 'report' })
    const worker = openWorker(queue.name, processor)
    const [, second] = await ended(worker, 2)
    await queue.removeJobScheduler('team:nightly:7')

    const planned = Number(second?.job.id?.split(':').at(-1))
    const drift = Number(second?.job.processedOn) - planned
    expect(drift).toBeLessThan(150)
    expect(tasks[1]).toMatchObject({
      type: 'cron',
      waitMs: Math.max(0, drift),
      schedule: { id: 'team:nightly:7', time: planned, driftMs: drift, intervalMs: 200 },
    })
    const [, span] = await spans.waitFor('taskiq.report', 2)
    expect(span?.attributes).toMatchObject({
      task_type: 'cron',
      'taskiq.schedule.id': 'team:nightly:7',
      'taskiq.schedule.time': new Date(planned).toISOString(),
      'taskiq.schedule.drift_ms': drift,
    })
    const labels = { schedule: 'team:nightly:7' }
    expect(await metrics.value('taskiq_cron_drift_seconds_count', labels)).toBeGreaterThanOrEqual(2)
    expect(await metrics.value('taskiq_cron_interval_seconds', labels)).toBe(0.2)
    expect(await metrics.value('taskiq_cron_last_success_timestamp_seconds', labels)).toBeGreaterThan(
      Date.now() / 1_000 - 10,
    )
    expect(await metrics.value('taskiq_tasks_total', { task_type: 'cron' })).toBeGreaterThanOrEqual(2)
  })

  it("knows its planned time from a cron pattern's tick too", async () => {
    const { t, spans } = await record()
    const queue = openQueue(queueName('reports'))
    const worker = openWorker(
      queue.name,
      bullmq(t)(async () => {}),
    )
    const done = ended(worker)
    await queue.upsertJobScheduler('each-second', { pattern: '* * * * * *' }, { name: 'report' })
    const [tick] = await done
    await queue.removeJobScheduler('each-second')
    const { attributes } = await spans.waitFor('taskiq.report')
    const planned = Date.parse(String(attributes['taskiq.schedule.time']))
    expect(planned % 1_000).toBe(0)
    expect(attributes['taskiq.schedule.drift_ms']).toBe(Number(tick?.job.processedOn) - planned)
  })
})

describe('a flow', () => {
  it("does not count a parent's wait for its children as a wait for a worker", async () => {
    const { t, spans } = await record()
    const [parents, children] = [openQueue(queueName('exports')), openQueue(queueName('clips'))]
    const instrument = bullmq(t)
    const worker = openWorker(
      parents.name,
      instrument(async () => {}),
    )
    const done = ended(worker)
    await openFlow().add(
      injectFlow({
        name: 'export',
        queueName: parents.name,
        children: [{ name: 'clip', queueName: children.name }],
      }),
    )
    openWorker(
      children.name,
      instrument(async () => {}),
    )
    await done
    expect((await spans.waitFor('taskiq.clip')).attributes['taskiq.wait_ms']).toBeGreaterThanOrEqual(0)
    expect((await spans.waitFor('taskiq.export')).attributes).not.toHaveProperty(['taskiq.wait_ms'])
  })
})

describe('a wrapped processor', () => {
  const wrap = bullmq()

  it.each([
    ['a file', '/srv/render.js'],
    ['a URL', new URL('file:///srv/render.js')],
  ])('refuses %s with the way to do it', (_, processor) => {
    let refused: unknown
    try {
      wrap(processor as never)
    } catch (error) {
      refused = error
    }
    expect(refused).toBeInstanceOf(TaskspanError)
    expect(refused).toMatchObject({ code: 'PROCESSOR_IS_FILE', help: expect.stringContaining('sandboxed(async') })
    expect(String(refused)).toContain('/srv/render.js')
  })

  it.each([undefined, null, 7, {}])('takes functions and nothing else: %s', (processor) => {
    expect(() => wrap(processor as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('keeps its name and its length', () => {
    async function renderClip(_job: Job, _token?: string, _signal?: AbortSignal): Promise<void> {}
    expect(wrap(renderClip).name).toBe('renderClip')
    expect(wrap(renderClip)).toHaveLength(3)
    expect(wrap(async () => {})).toHaveLength(0)
    expect(wrap(async (_job: Job) => {})).toHaveLength(1)
  })

  it('is called with what BullMQ calls it with: a signal only for a processor that takes one', async () => {
    const { t } = await record()
    const queue = openQueue(queueName('render'))
    const calls: unknown[][] = []
    const instrument = bullmq(t)
    const one = async (...args: unknown[]) => void calls.push(args)
    Object.defineProperty(one, 'length', { value: 1 })
    const three = async (...args: unknown[]) => void calls.push(args)
    Object.defineProperty(three, 'length', { value: 3 })
    for (const processor of [one, instrument(one), three, instrument(three)]) {
      const worker = openWorker(queue.name, processor)
      const done = ended(worker)
      await queue.add('render', {})
      const job = (await done)[0]?.job
      expect(calls.at(-1)?.[0]).toBe(job)
      expect(calls.at(-1)?.[1]).toBe(job?.token)
      await worker.close()
    }
    const shapes = calls.map((args) => args.map((arg) => Object.prototype.toString.call(arg)))
    expect(shapes[1]).toEqual(shapes[0])
    expect(shapes[3]).toEqual(shapes[2])
    expect(shapes[1]?.[2]).toBe('[object Undefined]')
    expect(shapes[3]?.[2]).toBe('[object AbortSignal]')
  })

  it('keeps `this`, as a NestJS WorkerHost bound to it or a class needs it', async () => {
    const { t } = await record()
    const queue = openQueue(queueName('render'))
    class Host {
      prefix = 'rendered'
      process(job: Job): Promise<string> {
        return Promise.resolve(`${this.prefix} ${job.name}`)
      }
    }
    const host = new Host()
    const processor = bullmq(t)(host.process)
    expect(await Reflect.apply(processor, host, [{ name: 'a', opts: {} } as Job])).toBe('rendered a')
    const worker = openWorker(queue.name, processor.bind(host))
    const done = ended(worker)
    await queue.add('clip', {})
    expect(await done).toMatchObject([{ event: 'completed', value: 'rendered clip' }])
  })

  it('runs a processor that is not async, and one that returns a thenable', async () => {
    const { t, spans } = await record()
    const instrument = bullmq(t)
    const queue = openQueue(queueName('render'))
    // biome-ignore lint/suspicious/noThenProperty: a query builder is one, and processors return it
    const thenable = { then: (resolve: (value: string) => void) => resolve('from a thenable') }
    const worker = openWorker(
      queue.name,
      instrument(((job: Job) => (job.name === 'sync' ? 'at once' : thenable)) as never),
    )
    const done = ended(worker, 2)
    await queue.addBulk([
      { name: 'sync', data: {} },
      { name: 'thenable', data: {} },
    ])
    expect((await done).map(({ event, value }) => [event, value])).toEqual([
      ['completed', 'at once'],
      ['completed', 'from a thenable'],
    ])
    expect(spans.spans.map(({ name }) => name)).toEqual(['taskiq.sync', 'taskiq.thenable'])
  })

  it('lets a job be cancelled by its worker, with the reason', async () => {
    const { t, spans } = await record()
    const queue = openQueue(queueName('render'))
    let reason: unknown
    const worker = openWorker(
      queue.name,
      bullmq(t)(async (job: Job, _token: string | undefined, signal: AbortSignal | undefined) => {
        worker.cancelJob(String(job.id), 'no longer wanted')
        reason = signal?.reason
        throw new Error('stopped')
      }),
    )
    const done = ended(worker)
    await queue.add('render', {})
    expect(await done).toMatchObject([{ event: 'failed' }])
    expect(reason).toBe('no longer wanted')
    expect((await spans.waitFor('taskiq.render')).attributes['taskiq.outcome']).toBe('cancelled')
  })
})
