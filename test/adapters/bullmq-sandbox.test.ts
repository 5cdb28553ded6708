// A processor that BullMQ runs in a process of its own: the way that PROCESSOR_IS_FILE names.
import { fileURLToPath } from 'node:url'
import { bullmq, propagation } from 'taskspan/bullmq'
import { expect, it } from 'vitest'
import { ended, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'

const file = fileURLToPath(new URL('../support/sandboxed.ts', import.meta.url))

it('wrapped inside its file, it runs in the trace of its sender, and is not told again outside', async () => {
  const { t, spans, metrics } = await record()
  const queue = openQueue(queueName('render'), { telemetry: propagation() })
  const worker = openWorker(queue.name, file as never, { workerForkOptions: { execArgv: ['--import', 'tsx'] } })
  bullmq(t).observe(worker)
  const done = ended(worker, 2)
  await queue.add('works', {}, { attempts: 2, priority: 3, jobId: 'clip-7' })
  await queue.add('fails', {})
  const ends = await done
  const send = spans.named(`send ${queue.name}`)[0]
  expect(ends.find(({ event }) => event === 'completed')?.value).toEqual({
    task: {
      name: 'works',
      queue: queue.name,
      id: 'clip-7',
      attempt: 1,
      maxAttempts: 2,
      waitMs: expect.any(Number),
      priority: 3,
    },
    parentSpanContext: expect.objectContaining({ traceId: send?.traceId, spanId: send?.spanId }),
  })
  expect(ends.find(({ event }) => event === 'failed')?.value).toMatchObject({ message: 'in the sandbox' })
  // The process that ran it has told; a second span or count here would be a second failure.
  expect(spans.named('taskiq.fails')).toEqual([])
  expect(await metrics.value('taskiq_task_failures_total')).toBeUndefined()
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
