// A processor that BullMQ runs in a process of its own: who tells of it, and that it is told once.
import { fileURLToPath } from 'node:url'
import { bullmq, propagation } from 'taskspan/bullmq'
import { expect, it, vi } from 'vitest'
import { ended, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'

// Each starts processes of its own, and a busy machine takes seconds for one.
vi.setConfig({ testTimeout: 90_000 })

const plain = fileURLToPath(new URL('../support/sandboxed-plain.mjs', import.meta.url))
const file = fileURLToPath(new URL('../support/sandboxed.ts', import.meta.url))

const task = (queue: string, id: string) => ({
  ...{ name: 'works', queue, id, attempt: 1, maxAttempts: 2, priority: 3 },
  waitMs: expect.any(Number),
})

it('wrapped with instrument() in its file, and its worker not observed, it tells of itself in the trace of its sender', async () => {
  const { spans, metrics } = await record()
  const queue = openQueue(queueName('render'), { telemetry: propagation() })
  const worker = openWorker(queue.name, file as never, { workerForkOptions: { execArgv: ['--import', 'tsx'] } })
  const done = ended(worker, 2)
  await queue.add('works', {}, { attempts: 2, priority: 3, jobId: 'clip-7' })
  await queue.add('fails', {})
  const ends = await done
  const send = spans.named(`send ${queue.name}`)[0]
  expect(ends.find(({ event }) => event === 'completed')?.value).toEqual({
    task: task(queue.name, 'clip-7'),
    active: expect.objectContaining({ traceId: send?.traceId }),
    parentSpanContext: expect.objectContaining({ traceId: send?.traceId, spanId: send?.spanId }),
  })
  expect(ends.find(({ event }) => event === 'failed')?.value).toMatchObject({ message: 'in the sandbox' })
  expect(spans.named('taskiq.fails')).toEqual([])
  expect(await metrics.value('taskiq_task_failures_total')).toBeUndefined()
})

it('with its worker observed the task is told there, and not a second time in the file', async () => {
  const { t, spans, metrics } = await record()
  const queue = openQueue(queueName('render'), { telemetry: propagation() })
  const worker = openWorker(queue.name, file as never, { workerForkOptions: { execArgv: ['--import', 'tsx'] } })
  bullmq(t).observe(worker)
  bullmq(t).observe(worker) // as often as you like: a task is told once
  const done = ended(worker, 2)
  await queue.add('works', {}, { attempts: 2, priority: 3, jobId: 'clip-7' })
  await queue.add('fails', {})
  const ends = await done
  const { traceId, spanId } = spans.one('taskiq.works')
  expect(ends.find(({ event }) => event === 'completed')?.value).toEqual({
    task: task(queue.name, 'clip-7'),
    active: expect.objectContaining({ traceId, spanId }), // the parent's own span, not one beside it
  })
  expect(spans.one('taskiq.fails').attributes['error.type']).toBe('TypeError')
  expect(await metrics.value('taskiq_task_failures_total', { error_type: 'TypeError' })).toBe(1)
})

it('when the observation ends, jobs run on, and the file tells of the next', async () => {
  const { t, spans } = await record()
  const queue = openQueue(queueName('render'))
  const worker = openWorker(queue.name, file as never, { workerForkOptions: { execArgv: ['--import', 'tsx'] } })
  await bullmq(t).observe(worker).close()
  const done = ended(worker)
  await queue.add('works', {})
  expect((await done)[0]?.event).toBe('completed')
  expect(spans.named('taskiq.works')).toEqual([])
})

it('a file that is not wrapped at all is a task too, where its worker is observed', async () => {
  const { t, spans, metrics } = await record()
  const queue = openQueue(queueName('render'))
  const worker = openWorker(queue.name, plain as never)
  bullmq(t).observe(worker)
  const done = ended(worker, 2)
  await queue.add('works', {})
  await queue.add('fails', {})
  await done
  expect(spans.one('taskiq.works').status).toBe('unset')
  expect(spans.one('taskiq.fails').attributes['error.type']).toBe('RangeError')
  expect(await metrics.value('taskiq_tasks_total', { outcome: 'success' })).toBe(1)
})

it('a job that BullMQ fails without its sandbox is told', async () => {
  const { t, spans } = await record()
  const queue = openQueue(queueName('render'))
  const worker = openWorker(queue.name, file as never, {
    maxStartedAttempts: 1,
    lockDuration: 50,
    skipLockRenewal: true,
    stalledInterval: 60,
    maxStalledCount: 5,
    autorun: false,
    workerForkOptions: { execArgv: ['--import', 'tsx'] },
  })
  bullmq(t).observe(worker)
  const hanging = await new Promise<{ close(force?: boolean): Promise<void> }>((resolve) => {
    const taker = openWorker(queue.name, () => new Promise(() => resolve(taker)), {
      lockDuration: 50,
      skipLockRenewal: true,
      skipStalledCheck: true,
    })
    void queue.add('render', {})
  })
  void worker.run()
  await ended(worker)
  await hanging.close(true)
  expect(await spans.waitFor('taskiq.render')).toMatchObject({
    status: 'error',
    statusMessage: 'job started more than allowable limit',
  })
})
