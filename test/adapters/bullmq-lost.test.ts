// Attempts that end without a word: a worker that is killed, a job that stalls until BullMQ gives it up.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Job, Queue, Worker } from 'bullmq'
import { bullmq } from 'taskspan/bullmq'
import { expect, it, onTestFinished } from 'vitest'
import { ended, openQueue, openWorker, own, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'

const doomed = fileURLToPath(new URL('../support/doomed-worker.ts', import.meta.url))
const lockDuration = 400

/** Starts a worker in a process of its own. */
function startDoomed(queue: Queue): ChildProcess {
  const child = fork(doomed, [JSON.stringify({ queue: queue.name, lockDuration, ...own() })], {
    execArgv: ['--import', 'tsx'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

/** Lets a worker take the next job and kills it in the middle. */
async function loseAttempt(child: ChildProcess): Promise<void> {
  await once(child, 'message')
  child.kill('SIGKILL')
  await once(child, 'exit')
}

const SENDER = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
const telemetry = { metadata: JSON.stringify({ traceparent: `00-${SENDER.traceId}-${SENDER.spanId}-01` }) }

it('a killed worker leaves one lost attempt, told once by span, metric and log of the run that follows', async () => {
  const failures: unknown[] = []
  const { t, spans, metrics, logs } = await record({ onFailure: (error) => failures.push(error) })
  const queue = openQueue(queueName('render'))
  const child = startDoomed(queue)
  await queue.add('render', {}, { attempts: 3, telemetry, jobId: 'clip-7' })
  await loseAttempt(child)

  const instrument = bullmq(t)
  let atStart: unknown
  const recoverer = openWorker(
    queue.name,
    instrument(async (job: Job) => {
      atStart ??= logs.named('task.lost').length
      if (job.attemptsMade === 0) throw new Error('once more')
      return 'rendered'
    }),
    { stalledInterval: 100 },
  )
  instrument.observe(recoverer)
  const ends = await ended(recoverer, 2)
  expect(ends.map(({ event }) => event)).toEqual(['failed', 'completed'])

  const [lost, recovering, last] = await spans.waitFor('taskiq.render', 3)
  expect(lost).toMatchObject({
    kind: 'consumer',
    ...SENDER,
    spanId: lost?.spanId,
    parentSpanId: SENDER.spanId,
    status: 'error',
    attributes: {
      'taskiq.outcome': 'lost',
      'error.type': 'Lost',
      'taskiq.task.name': 'render',
      'taskiq.attempt': 1,
      'messaging.destination.name': queue.name,
      'messaging.message.id': 'clip-7',
    },
    links: [{ traceId: recovering?.traceId, spanId: recovering?.spanId }],
  })
  expect(lost?.durationMs).toBe(0)
  expect(Math.abs(Number(lost?.startedAt) - Number(recovering?.startedAt))).toBeLessThan(1_000)
  expect(recovering).toMatchObject({
    parentSpanId: SENDER.spanId,
    attributes: { 'taskiq.recovered': true, 'taskiq.outcome': 'retry', 'taskiq.attempt': 1 },
    links: [{ traceId: lost?.traceId, spanId: lost?.spanId }],
  })
  expect(lost?.attributes).not.toHaveProperty(['taskiq.recovered'])
  expect(recovering?.attributes).not.toHaveProperty(['taskiq.wait_ms'])
  // The run after that knows that the loss has been told.
  expect(last?.attributes).toMatchObject({ 'taskiq.outcome': 'success', 'taskiq.attempt': 2 })
  expect(last?.attributes).not.toHaveProperty(['taskiq.recovered'])
  expect(last?.links).toEqual([])

  const labels = { queue: queue.name, task_name: 'render' }
  expect(await metrics.value('taskiq_tasks_lost_total', labels)).toBe(1)
  expect(await metrics.value('taskiq_tasks_total', { ...labels, outcome: 'lost' })).toBe(1)
  expect(await metrics.value('taskiq_task_failures_total', { ...labels, error_type: 'Lost' })).toBe(1)
  expect(await metrics.value('taskiq_broker_events_total', { queue: queue.name, event: 'stalled' })).toBe(1)
  expect(logs.named('task.lost')).toMatchObject([
    {
      level: 'error',
      outcome: 'lost',
      task_name: 'render',
      task_id: 'clip-7',
      trace_id: SENDER.traceId,
      span_id: recovering?.spanId,
      reason: expect.stringContaining('real start is not known'),
    },
  ])
  expect(atStart).toBe(1)
  expect(failures).toEqual([])
})

it('a job that stalls until BullMQ gives it up is one loss per lost attempt, and one final failure', async () => {
  const failures: unknown[] = []
  const { t, spans, metrics, logs } = await record({ onFailure: (error, task) => failures.push([error, task.name]) })
  const queue = openQueue(queueName('render'))
  const instrument = bullmq(t)
  const children = [startDoomed(queue), startDoomed(queue)]
  await Promise.all(children.map((child) => once(child, 'spawn')))
  const job = await queue.add('render', {}, { attempts: 5, telemetry })
  const taker = await Promise.race(children.map((child) => once(child, 'message').then(() => child)))
  taker.kill('SIGKILL')

  // Only looks for stalled jobs, until the other process has lost the job too.
  const watcher = openWorker(queue.name, null, { stalledInterval: 100, autorun: false })
  instrument.observe(watcher)
  await watcher.startStalledCheckTimer()
  const other = children.find((child) => child !== taker) as ChildProcess
  await loseAttempt(other)
  await watcher.close()

  let ran = false
  const last = openWorker(
    queue.name,
    instrument(async () => {
      ran = true
    }),
    { stalledInterval: 100 },
  )
  instrument.observe(last)
  const [end] = await ended(last)
  expect(end).toMatchObject({ event: 'failed', job: { id: job.id, stalledCounter: 2 } })
  expect(ran).toBe(false)

  // The run that followed the first loss was lost itself, in a process that told nobody: this one is told here.
  const lost = await spans.waitFor('taskiq.render', 1)
  expect(lost).toMatchObject([
    { parentSpanId: SENDER.spanId, status: 'error', attributes: { 'taskiq.outcome': 'lost', 'taskiq.attempt': 1 } },
  ])
  expect(spans.spans).toHaveLength(1)
  expect(lost[0]?.durationMs).toBe(0)
  expect(await metrics.value('taskiq_tasks_lost_total')).toBe(1)
  expect(await metrics.value('taskiq_tasks_total', { outcome: 'failure' })).toBeUndefined()
  expect(logs.named('task.lost')).toMatchObject([{ error: { message: 'job stalled more than allowable limit' } }])
  expect(failures).toEqual([[end?.value, 'render']])
})

it('both losses are told where one process saw the job twice', async () => {
  const failures: unknown[] = []
  const { t, metrics, logs, spans } = await record({ onFailure: (error) => failures.push(error) })
  const queue = openQueue(queueName('render'))
  const instrument = bullmq(t)
  // Workers of one process that lose their locks instead of dying: nobody renews them.
  const hanging = Array.from({ length: 2 }, () => {
    let taken = (): void => {}
    const took = new Promise<void>((resolve) => {
      taken = resolve
    })
    const processor = instrument(() => {
      taken()
      return new Promise(() => {})
    })
    return { took, processor }
  })
  await queue.add('render', {}, { attempts: 5 })
  const options = { lockDuration: 50, skipLockRenewal: true, stalledInterval: 60 }
  for (const { took, processor } of hanging) {
    const worker = openWorker(queue.name, processor, options)
    await took
    onTestFinished(() => worker.close(true))
  }
  const last = openWorker(
    queue.name,
    instrument(async () => {}),
    { stalledInterval: 60 },
  )
  instrument.observe(last)
  const [end] = await ended(last)
  expect(end?.job.stalledCounter).toBe(2)

  expect(await metrics.value('taskiq_tasks_lost_total')).toBe(2)
  expect(logs.named('task.lost')).toHaveLength(2)
  const lost = spans.named('taskiq.render').filter(({ attributes }) => attributes['taskiq.outcome'] === 'lost')
  expect(lost).toHaveLength(2)
  expect(failures).toEqual([end?.value])
})

it('a run tells of the attempt before it, and leaves those before to the runs that followed them elsewhere', async () => {
  const { t, spans, metrics } = await record()
  const queue = openQueue(queueName('render'))
  await queue.add('render', {}, { attempts: 5 })
  const options = { lockDuration: 50, skipLockRenewal: true, stalledInterval: 60, maxStalledCount: 5 }
  for (let n = 0; n < 2; n++) {
    const taken = await new Promise<Worker>((resolve) => {
      const worker = openWorker(queue.name, () => new Promise(() => resolve(worker)), options)
    })
    onTestFinished(() => taken.close(true))
  }
  const last = openWorker(
    queue.name,
    bullmq(t)(async () => {}),
    { stalledInterval: 60, maxStalledCount: 5 },
  )
  const [end] = await ended(last)
  expect(end).toMatchObject({ event: 'completed', job: { stalledCounter: 2 } })
  expect(spans.spans.map(({ attributes }) => attributes['taskiq.outcome'])).toEqual(['lost', 'success'])
  expect(await metrics.value('taskiq_tasks_lost_total')).toBe(1)
})
