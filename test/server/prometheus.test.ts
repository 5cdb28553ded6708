// A real Prometheus scrapes a worker that serves itself: it is up, its numbers are right, its exemplars lead to its traces.
import { execFile } from 'node:child_process'
import { bullmq } from 'taskspan/bullmq'
import { ext } from 'taskspan/spans'
import { watch } from 'taskspan/watch'
import { beforeAll, expect, it, onTestFinished } from 'vitest'
import { promtool, startPrometheus } from '../../scripts/prometheus/index.ts'
import { ended, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { eventually, exemplars, number, query } from '../support/prometheus.ts'
import { type Recorded, record } from '../support/record.ts'
import { open } from './client.ts'

beforeAll(async () => void (await promtool()), 600_000) // a fresh machine installs it first

/** A BullMQ worker that has rendered one clip, and has failed at another. */
async function worked(): Promise<Recorded & { readonly queue: string; readonly address: string }> {
  const recorded = await record()
  const { t } = recorded
  const name = queueName('clips')
  const queue = openQueue(name)
  const instrument = bullmq(t)
  const worker = openWorker(
    name,
    instrument(async (job: { data: { clip: number } }) =>
      ext('whisper', 'transcribe', { clip_file_uuid: String(job.data.clip) }, async () => {
        if (job.data.clip === 2) throw new RangeError('no such clip')
      }),
    ),
  )
  const done = ended(worker, 2)
  await queue.addBulk([1, 2].map((clip) => ({ name: 'render_clip', data: { clip } })))
  await done
  const watching = watch({ telemetry: t, workers: [worker] })
  onTestFinished(() => watching.close())
  await watching.sample()
  const { address } = await open({ telemetry: t, watch: watching })
  return { ...recorded, queue: name, address }
}

it('is scraped by a real Prometheus, with exemplars that name the spans of its tasks', async () => {
  const { spans, queue, address } = await worked()
  await using prometheus = await startPrometheus({ jobs: [{ name: 'render', targets: [address] }] })
  const { url } = prometheus
  await eventually(
    'a scrape',
    () => number(url, 'up{job="render"}'),
    (up) => up === 1,
  )

  const tasks = await query(url, `sum by (outcome) (taskiq_tasks_total{queue="${queue}"})`)
  expect(tasks.map(({ metric, value }) => [metric.outcome, value?.[1]]).sort()).toEqual([
    ['failure', '1'],
    ['success', '1'],
  ])
  expect(await number(url, `taskiq_queue_depth{queue="${queue}",state="failed"}`)).toBe(1)

  const [good, bad] = spans.named('taskiq.render_clip').sort((a, b) => a.startedAt - b.startedAt)
  const ids = async (expression: string) =>
    (await exemplars(url, expression)).flatMap((series) => series.exemplars.map(({ labels }) => labels))
  expect(await ids(`taskiq_task_failures_total{queue="${queue}",error_type="RangeError"}`)).toEqual([
    { trace_id: bad?.traceId, span_id: bad?.spanId },
  ])
  expect(await ids(`taskiq_tasks_duration_seconds_bucket{queue="${queue}",result="ok"}`)).toEqual([
    { trace_id: good?.traceId, span_id: good?.spanId },
  ])
  const calls = spans
    .named('ext.whisper.transcribe')
    .map(({ traceId, spanId }) => ({ trace_id: traceId, span_id: spanId }))
  expect(await ids('taskiq_ext_duration_seconds_bucket{service="whisper"}')).toEqual(expect.arrayContaining(calls))
})

it('serves what promtool finds nothing wrong with', async () => {
  const { address } = await worked()
  const classic = await (await fetch(`${address}/metrics`)).text()
  expect(classic).toContain('taskiq_tasks_total{')
  expect(await check(await promtool(), classic)).toEqual({ code: 0, said: '' })
  expect(await check(await promtool(), 'tasks 1\n# TYPE tasks counter\n')).toMatchObject({ code: 1 })
})

function check(tool: string, text: string): Promise<{ code: number; said: string }> {
  return new Promise((resolve) => {
    const child = execFile(tool, ['check', 'metrics'], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), said: stdout + stderr }),
    )
    child.stdin?.end(text)
  })
}
