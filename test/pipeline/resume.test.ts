// Resuming on real Redis: a worker dies in mid-pipeline, and another runs only what it had not finished.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Job } from 'bullmq'
import { Redis } from 'ioredis'
import { bullmq, checkpoint } from 'taskspan/bullmq'
import { expect, it, onTestFinished } from 'vitest'
import { ended, openQueue, openWorker, own, queueName } from '../support/bullmq.ts'
import { clip } from '../support/pipeline-clip.ts'
import { record } from '../support/record.ts'
import { redisUrl } from '../support/redis.ts'

const doomed = fileURLToPath(new URL('../support/pipeline-worker.ts', import.meta.url))

/** The steps that the worker has begun, up to its last, which never ends. */
function reached(child: ChildProcess, last: string): Promise<string[]> {
  const steps: string[] = []
  // Not `once()` in a loop: several messages may arrive at once.
  return new Promise((resolve) => {
    child.on('message', (step: string) => {
      steps.push(step)
      if (step === last) resolve(steps)
    })
  })
}

/** Waits until Redis holds the records of that many steps. */
async function kept(key: string, count: number): Promise<void> {
  const redis = new Redis(redisUrl())
  onTestFinished(() => redis.disconnect())
  await expect.poll(() => redis.hlen(key), { timeout: 5_000 }).toBe(count + 1) // and whose they are
}

it('a worker killed in mid-pipeline is followed by one that runs only the unfinished steps', async () => {
  const { t, spans } = await record()
  const queue = openQueue(queueName('clips'))
  const lockDuration = 400
  const child = fork(doomed, [JSON.stringify({ queue: queue.name, lockDuration, ...own() })], {
    execArgv: ['--import', 'tsx'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const job = await queue.add('analyse', { clip: 7 })
  expect(await reached(child, 'upload')).toEqual(['download', 'transcribe', 'detect_cuts', 'upload'])
  const key = `${queue.qualifiedName}:${job.id}:steps`
  await kept(key, 3)
  child.kill('SIGKILL')
  await once(child, 'exit')

  const ran: string[] = []
  const analysis = clip(
    (step) => ran.push(step),
    async () => 'uploaded',
    t,
  )
  const worker = openWorker(
    queue.name,
    bullmq(t)(async (again: Job) => analysis.run(again.data, { checkpoint: checkpoint(again) })),
    { stalledInterval: 100 },
  )
  const [end] = await ended(worker, 1)

  expect(end).toMatchObject({ event: 'completed' })
  expect(ran).toEqual(['upload'])
  const again = await queue.getJob(String(job.id))
  expect(again?.returnvalue).toEqual({ upload: 'words of 7.mp4, 1 cut, uploaded' })
  expect(again?.data).toEqual({ clip: 7 })
  expect(again?.progress).toBe(0)
  const outcomes = spans.named('step.download').map(({ attributes }) => attributes['taskiq.outcome'])
  expect(outcomes).toEqual(['restored'])
  expect(spans.named('step.upload').map(({ attributes }) => attributes['taskiq.outcome'])).toEqual(['success'])
})

it('goes with its age, and is not kept for a job that is gone', async () => {
  const queue = openQueue(queueName('clips'))
  const redis = new Redis(redisUrl())
  onTestFinished(() => redis.disconnect())
  const seen: { ttl: number; after: number }[] = []
  const worker = openWorker(queue.name, async (job: Job) => {
    const key = `${queue.qualifiedName}:${job.id}:steps`
    const store = checkpoint(job, { ttlMs: 60_000 })
    await store.save('clip', 'download', 'a record')
    expect(await store.load('clip')).toEqual({ download: 'a record' })
    expect(await store.load('other')).toBeUndefined()
    const ttl = await redis.pttl(key)
    await redis.del(key, `${queue.qualifiedName}:${job.id}`)
    await store.save('clip', 'download', 'a record')
    seen.push({ ttl, after: await redis.exists(key) })
  })
  worker.on('error', () => {}) // BullMQ misses the job that this test has taken away
  const done = once(worker, 'error')
  await queue.add('analyse', {})
  await done

  expect(seen).toEqual([{ ttl: expect.any(Number), after: 0 }])
  expect(seen[0]?.ttl).toBeGreaterThan(55_000)
  expect(seen[0]?.ttl).toBeLessThanOrEqual(60_000)
})

/** Runs jobs through a pipeline whose last step fails the given number of times; says which steps ran. */
function flakyWorker(name: string, failures: number, options: { progress?: boolean } = {}) {
  const ran: string[] = []
  const analysis = clip(
    (step) => ran.push(step),
    async () => {
      if (failures-- > 0) throw new Error('not yet')
      return 'uploaded'
    },
  )
  const processor = async (job: Job) => analysis.run(job.data, { checkpoint: checkpoint(job), ...options })
  return { ran, worker: openWorker(name, bullmq()(processor)) }
}

it('a retried job runs only its unfinished steps, and keeps its data and progress', async () => {
  const queue = openQueue(queueName('clips'))
  const { ran, worker } = flakyWorker(queue.name, 1)
  const done = ended(worker, 2)
  const job = await queue.add('analyse', { clip: 7 }, { attempts: 2 })
  const [failed, completed] = await done
  expect(failed).toMatchObject({ event: 'failed', value: { code: 'PIPELINE_FAILED', step: 'upload' } })
  expect(completed?.event).toBe('completed')
  expect(ran).toEqual(['download', 'transcribe', 'detect_cuts', 'upload', 'upload'])
  expect(await queue.getJob(String(job.id))).toMatchObject({ data: { clip: 7 }, progress: 0 })
})

it('a job that is added again under the id of one that is gone starts anew', async () => {
  const queue = openQueue(queueName('clips'))
  const { ran, worker } = flakyWorker(queue.name, 0)
  for (let n = 0; n < 2; n++) {
    const done = ended(worker, 1)
    await queue.add('analyse', { clip: 7 }, { jobId: 'clip-7', removeOnComplete: true })
    await done
    await expect.poll(() => queue.getJob('clip-7')).toBeUndefined()
  }
  expect(ran).toEqual([
    'download',
    'transcribe',
    'detect_cuts',
    'upload',
    'download',
    'transcribe',
    'detect_cuts',
    'upload',
  ])
})

it('a worker that has lost its lock does not write over what its successor does', async () => {
  const queue = openQueue(queueName('clips'))
  const redis = new Redis(redisUrl())
  onTestFinished(() => redis.disconnect())
  const worker = openWorker(queue.name, async (job: Job) => {
    const store = checkpoint(job)
    await store.save('clip', 'download', 'mine')
    await redis.set(`${queue.qualifiedName}:${job.id}:lock`, "a successor's token")
    await expect(store.save('clip', 'download', 'late')).rejects.toThrow('is lost')
    const kept = await store.load('clip')
    await redis.set(`${queue.qualifiedName}:${job.id}:lock`, String(job.token))
    return kept
  })
  const done = ended(worker, 1)
  await queue.add('analyse', {})
  expect((await done)[0]).toMatchObject({ event: 'completed', value: { download: 'mine' } })
})

it('progress: true is the progress of the job', async () => {
  const queue = openQueue(queueName('clips'))
  const { worker } = flakyWorker(queue.name, 0, { progress: true })
  const told: unknown[] = []
  worker.on('progress', (_, progress) => told.push(progress))
  const done = ended(worker, 1)
  const job = await queue.add('analyse', { clip: 7 })
  await done
  expect(told).toEqual([100])
  expect((await queue.getJob(String(job.id)))?.progress).toBe(100)
})
