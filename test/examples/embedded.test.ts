// The demo's embedded broker is the real BullMQ: what the demo shows on it holds on Redis too.
import { execFile } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Job, type Telemetry, UnrecoverableError } from 'bullmq'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Broker, openEmbedded } from '../../examples/demo/embedded.ts'

// Building a database takes 3 to 11 s on a small machine, and longer on a busy one.
const slow = 90_000

let cache: string
let broker: Broker
const firstRun: string[] = []

beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'taskspan-embedded-'))
  broker = await openEmbedded((line) => firstRun.push(line), cache)
}, slow)

afterAll(async () => {
  await broker?.close()
  await rm(cache, { recursive: true, force: true })
})

/** Resolves with the first `count` jobs that the worker reports under this event. */
function reported(worker: EventEmitter, event: 'completed' | 'failed', count: number): Promise<Job[]> {
  const jobs: Job[] = []
  return new Promise((resolve) => {
    worker.on(event, (job: Job) => {
      jobs.push(job)
      if (jobs.length === count) resolve(jobs)
    })
  })
}

describe('the database', () => {
  it('is announced and saved by the first run', async () => {
    expect(firstRun).toEqual([expect.stringContaining('first run only')])
    expect(await readdir(cache)).toEqual([expect.stringMatching(/^bullmq-.+-pglite-.+\.tar\.gz$/)])
  })

  it('is restored without a word, and empty, by the next run', { timeout: slow }, async () => {
    await broker.queue('left-behind').add('task', {})
    const lines: string[] = []
    const next = await openEmbedded((line) => lines.push(line), cache)
    expect(await next.queue('left-behind').getJobCounts()).toMatchObject({ waiting: 0 })
    await next.close()
    expect(lines).toEqual([])
  })

  it('is built again when the saved one is damaged, and saved again', { timeout: slow }, async () => {
    const [snapshot] = await readdir(cache)
    await truncate(join(cache, String(snapshot)), 1_000_000)
    const lines: string[] = []
    await (await openEmbedded((line) => lines.push(line), cache)).close()
    expect(lines).toEqual([expect.stringContaining('damaged'), expect.stringContaining('first run only')])

    await (await openEmbedded((line) => lines.push(line), cache)).close()
    expect(lines).toHaveLength(2)
  })
})

describe('queues and workers', () => {
  it('runs a task with its data, token and signal, and hands its result back', async () => {
    const queue = broker.queue<{ clip: number }, string>('results')
    const events = broker.events('results')
    await events.waitUntilReady()
    broker.worker<{ clip: number }, string>('results', async (job, token, signal) => {
      expect(token).toBe(job.token)
      expect(signal).toBeInstanceOf(AbortSignal)
      return `rendered ${job.data.clip}`
    })
    const job = await queue.add('render', { clip: 7 })
    expect(await job.waitUntilFinished(events)).toBe('rendered 7')
  })

  it('runs a delayed task once it is due', async () => {
    const worker = broker.worker('delayed', async () => {})
    const completed = reported(worker, 'completed', 1)
    await broker.queue('delayed').add('later', {}, { delay: 150 })
    const [job] = await completed
    expect(Number(job?.processedOn) - Number(job?.timestamp)).toBeGreaterThanOrEqual(150)
  })

  it('retries a failing task after its backoff until it succeeds', async () => {
    const started: number[] = []
    const worker = broker.worker('retries', async (job) => {
      started.push(Number(job.processedOn))
      if (job.attemptsMade < 2) throw new Error(`attempt ${job.attemptsMade + 1}`)
    })
    const completed = reported(worker, 'completed', 1)
    await broker.queue('retries').add('flaky', {}, { attempts: 3, backoff: { type: 'fixed', delay: 60 } })
    const [job] = await completed
    expect(job).toMatchObject({ attemptsMade: 3, attemptsStarted: 3 })
    const [first = 0, second = 0, third = 0] = started
    expect(second - first).toBeGreaterThanOrEqual(60)
    expect(third - second).toBeGreaterThanOrEqual(60)
  })

  it('fails a task for good when it says that no retry will help', async () => {
    const queue = broker.queue('hopeless')
    const worker = broker.worker('hopeless', async () => {
      throw new UnrecoverableError('no such clip')
    })
    const failed = reported(worker, 'failed', 1)
    await queue.add('render', {}, { attempts: 5 })
    const [job] = await failed
    expect(await queue.getJobs('failed')).toEqual([
      expect.objectContaining({ id: job?.id, failedReason: 'no such clip', attemptsMade: 1 }),
    ])
  })

  it('runs urgent tasks before the others', async () => {
    const queue = broker.queue('priorities')
    await queue.add('low', {}, { priority: 9 })
    await queue.add('high', {}, { priority: 1 })
    const worker = broker.worker('priorities', async () => {})
    const jobs = await reported(worker, 'completed', 2)
    expect(jobs.map((job) => job.name)).toEqual(['high', 'low'])
  })

  it('ticks at every interval of a scheduler until it is removed', async () => {
    const queue = broker.queue('ticks')
    const worker = broker.worker('ticks', async () => {})
    const completed = reported(worker, 'completed', 3)
    await queue.upsertJobScheduler('cleanup', { every: 80 }, { name: 'clean' })
    const jobs = await completed
    expect(await queue.removeJobScheduler('cleanup')).toBe(true)
    const times = jobs.map((job) => Number(job.id?.match(/^repeat:cleanup:(\d+)$/)?.[1]))
    // On a busy machine a slot may pass unused, but every tick belongs to one.
    const [first = 0, second = 0, third = 0] = times
    expect([(second - first) % 80, (third - first) % 80]).toEqual([0, 0])
    expect(third).toBeGreaterThan(second)
    expect(second).toBeGreaterThan(first)
    expect(jobs.map((job) => job.repeatJobKey)).toEqual(['cleanup', 'cleanup', 'cleanup'])
  })

  it('runs the parent of a flow after its children, with their results', async () => {
    broker.worker<unknown, string>('parts', async (job) => `cut by ${job.name}`)
    const parents = broker.worker('whole', async (job) => Object.values(await job.getChildrenValues()).sort())
    const completed = reported(parents, 'completed', 1)
    await broker.flow().add({
      name: 'assemble',
      queueName: 'whole',
      children: [
        { name: 'left', queueName: 'parts' },
        { name: 'right', queueName: 'parts' },
      ],
    })
    const [job] = await completed
    expect(job?.returnvalue).toEqual(['cut by left', 'cut by right'])
  })

  it('carries what the telemetry option writes to the worker, on every attempt', async () => {
    const span = () => ({
      setSpanOnContext: (context: unknown) => context,
      setAttribute: () => {},
      setAttributes: () => {},
      addEvent: () => {},
      recordException: () => {},
      end: () => {},
    })
    const telemetry: Telemetry = {
      tracer: { startSpan: span },
      contextManager: {
        active: () => ({}),
        with: (_context, fn) => fn(),
        getMetadata: () => '{"traceparent":"00-1-2-01"}',
        fromMetadata: () => ({}),
      },
    }
    const seen: unknown[] = []
    const worker = broker.worker('carried', async (job) => {
      seen.push(job.opts.telemetry)
      if (job.attemptsMade === 0) throw new Error('once more')
    })
    const completed = reported(worker, 'completed', 1)
    await broker.queue('carried', { telemetry }).add('task', {}, { attempts: 2 })
    await completed
    expect(seen).toEqual(Array(2).fill({ metadata: '{"traceparent":"00-1-2-01"}' }))
  })
})

describe('close()', () => {
  it('waits for the task that runs, whose last writes still arrive', { timeout: slow }, async () => {
    const own = await openEmbedded(() => {}, cache)
    const inside = new EventEmitter()
    const next = own.queue('next')
    const worker = own.worker('busy', async () => {
      const gate = once(inside, 'go on')
      inside.emit('started')
      await gate
      return (await next.add('follow-up', {})).id
    })
    const completed = reported(worker, 'completed', 1)
    const started = once(inside, 'started')
    await own.queue('busy').add('long', {})
    await started
    const closed = own.close()
    inside.emit('go on')
    const [[job]] = await Promise.all([completed, closed])
    expect(job?.returnvalue).toBe('1')
    expect(own.close()).toBe(closed)
  })

  it('lets the process end by itself, with nothing written to stdout or stderr', { timeout: slow }, async () => {
    const script = `
      import { openEmbedded } from './examples/demo/embedded.ts'
      const broker = await openEmbedded(undefined, ${JSON.stringify(cache)})
      const queue = broker.queue('q')
      const done = new Promise((resolve) => broker.worker('q', async () => {}).once('completed', resolve))
      broker.worker('idle', async () => {})
      broker.events('q')
      broker.flow()
      await queue.upsertJobScheduler('never-removed', { every: 3600000 })
      await queue.add('later', {}, { delay: 3600000 })
      await done
      await broker.close()
    `
    const options = { cwd: join(import.meta.dirname, '../..'), timeout: slow }
    const run = promisify(execFile)
    // Rejects unless the exit code is 0; an unhandled rejection would make it 1.
    const output = await run(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], options)
    expect(output).toEqual({ stdout: '', stderr: '' })
  })
})
