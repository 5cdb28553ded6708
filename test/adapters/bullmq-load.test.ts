// Many tasks at once, and many names: nothing is mixed up, nothing grows without end.
import { context, trace } from '@opentelemetry/api'
import type { Job } from 'bullmq'
import { currentTask, type Task } from 'taskspan'
import { bullmq, propagation } from 'taskspan/bullmq'
import { render } from 'taskspan/metrics'
import { expect, it } from 'vitest'
import { ended, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'

it('1,000 interleaved tasks with 4 child spans each: no wrong parent, no foreign task', {
  timeout: 120_000,
}, async () => {
  const { t, spans } = await record()
  const queue = openQueue(queueName('clips'), { telemetry: propagation() })
  const tracer = trace.getTracer('test')
  const pause = () => new Promise((resolve) => setTimeout(resolve, Math.random() * 5))
  let running = 0
  let most = 0
  let foreign = 0
  const child = (clip: number, step: string, fn: () => Promise<unknown>): Promise<unknown> =>
    tracer.startActiveSpan(step, { attributes: { clip } }, async (span) => {
      await fn()
      if ((currentTask() as Task & { message: Job }).message.data.clip !== clip) foreign++
      if (trace.getSpan(context.active()) !== span) foreign++
      span.end()
    })
  const worker = openWorker(
    queue.name,
    bullmq(t)(async (job: Job) => {
      most = Math.max(most, ++running)
      const { clip } = job.data
      // Two at once, one of them with one inside, and one after.
      await Promise.all([child(clip, 'left', () => child(clip, 'inner', pause)), child(clip, 'right', pause)])
      await child(clip, 'after', pause)
      running--
    }),
    { concurrency: 100 },
  )
  const done = ended(worker, 1_000)
  const clips = Array.from({ length: 1_000 }, (_, clip) => clip)
  await Promise.all(clips.map((clip) => queue.add('clip', { clip }, { jobId: `clip-${clip}` })))
  expect((await done).filter(({ event }) => event !== 'completed').length).toBe(0)
  expect(most).toBeGreaterThan(50)
  expect(foreign).toBe(0)

  const tasks = await spans.waitFor('taskiq.clip', 1_000)
  const wrong = tasks.filter((task) => {
    const clip = Number(String(task.attributes['messaging.message.id']).slice('clip-'.length))
    const left = task.children.find(({ name }) => name === 'left')
    const below = [...task.children, ...(left?.children ?? [])]
    return (
      task.children
        .map(({ name }) => name)
        .sort()
        .join() !== 'after,left,right' ||
      left?.children.map(({ name }) => name).join() !== 'inner' ||
      below.some((span) => span.attributes.clip !== clip || span.traceId !== task.traceId) ||
      task.parent?.attributes['messaging.message.id'] !== `clip-${clip}`
    )
  })
  expect(wrong.length).toBe(0)
  expect(new Set(tasks.map(({ traceId }) => traceId)).size).toBe(1_000)
  expect(spans.spans.length).toBe(6_000)
  expect(spans.open).toEqual([])
})

it('20,000 task names: 500 series and one for the rest, counted; every task is as before', {
  timeout: 120_000,
}, async () => {
  const { t, metrics } = await record({ logging: false })
  const queue = openQueue(queueName('names'))
  const names = Array.from({ length: 20_000 }, (_, n) => `task_${n}`)
  let ran = 0
  const worker = openWorker(
    queue.name,
    bullmq(t)(async () => void ran++),
    { concurrency: 200, autorun: false },
  )
  const done = ended(worker, names.length)
  const options = { removeOnComplete: true }
  for (let at = 0; at < names.length; at += 5_000) {
    await queue.addBulk(names.slice(at, at + 5_000).map((name) => ({ name, data: {}, opts: options })))
  }
  void worker.run()
  expect((await done).filter(({ event }) => event !== 'completed').length).toBe(0)
  expect(ran).toBe(20_000)

  const series = await metrics.series('taskiq_tasks_total', { queue: queue.name })
  expect(series).toHaveLength(501)
  expect(await metrics.value('taskiq_tasks_total', { queue: queue.name })).toBe(20_000)
  expect(await metrics.value('taskiq_tasks_total', { task_name: 'other', outcome: 'success' })).toBe(19_500)
  expect(await metrics.value('taskiq_label_overflow_total', { label: 'task_name' })).toBeGreaterThanOrEqual(19_500)
  expect(await metrics.value('taskiq_tasks_in_progress', { queue: queue.name })).toBe(0)
  expect((await render(metrics.registry)).body.length).toBeLessThan(3_000_000)
})
