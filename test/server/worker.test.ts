// The whole of it on a real broker: a BullMQ worker that is watched and served, seen while it works.
import { bullmq, propagation } from 'taskspan/bullmq'
import { ext, usage } from 'taskspan/spans'
import { watch } from 'taskspan/watch'
import { expect, it, onTestFinished } from 'vitest'
import { ended, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'
import { ask, open } from './client.ts'

it('shows a BullMQ worker that works: what runs, the depth of its queue, its calls, its traces and its lines', async () => {
  const { t, spans } = await record()
  const name = queueName('clips')
  const queue = openQueue(name, { telemetry: propagation(t) })
  let running: () => void = () => {}
  let release: () => void = () => {}
  const started = new Promise<void>((resolve) => {
    running = resolve
  })
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const instrument = bullmq(t)
  const worker = openWorker(
    name,
    instrument(async (job: { data: { clip: string } }) =>
      ext('whisper', 'transcribe', { clip_file_uuid: job.data.clip }, async (span) => {
        running()
        await held
        usage({ gpu_seconds: 1.5 })
        span.setAttribute('words', 12)
      }),
    ),
  )
  onTestFinished(() => release())
  const watching = watch({ telemetry: t, workers: [worker] })
  onTestFinished(() => watching.close())
  await watching.sample()
  const served = await open({ telemetry: t, watch: watching, debug: true, checks: { redis: () => queue.count() } })
  const done = ended(worker, 2)
  await queue.addBulk([
    { name: 'transcribe_clip', data: { clip: 'c-1' } },
    { name: 'transcribe_clip', data: { clip: 'c-2' } },
  ])
  await started
  await watching.sample()

  expect((await ask(served, '/ready')).json.checks).toEqual({ redis: 'ok' })
  const status = (await ask(served, '/debug/status')).json
  expect(status.running).toMatchObject([{ task: 'transcribe_clip', queue: name, id: '1', attempt: 1 }])
  const { queues } = (await ask(served, '/debug/queue')).json
  expect(queues).toMatchObject([{ queue: name, depth: { waiting: 1, active: 1 } }])
  expect((await ask(served, '/debug/connections')).json.connections.length).toBeGreaterThan(0)
  expect((await ask(served, '/debug/schedules')).json).toEqual({ schedules: [] })

  release()
  await done
  const { text } = await ask(served, '/metrics')
  expect(text).toContain(`taskiq_queue_depth{queue="${name}",state="waiting"} 1`)
  expect(text).toContain('taskiq_ext_usage_total{service="whisper",operation="transcribe",unit="gpu_seconds"} 3')
  const [first] = spans.named('ext.whisper.transcribe')
  expect(first).toMatchObject({ kind: 'client', attributes: { clip_file_uuid: 'c-1', words: 12 } })
  expect(first?.parent?.name).toBe('taskiq.transcribe_clip')
  const trace = await ask(served, `/debug/traces/${first?.traceId}`)
  expect(trace.text).toContain('"name":"taskiq.transcribe_clip"')
  const { lines } = (await ask(served, '/debug/logs?level=info')).json
  expect(lines.filter(({ message }: { message: string }) => message === 'task.succeeded')).toHaveLength(2)
})
