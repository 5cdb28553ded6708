// A handler in a process or a thread of its own: one trace, and its spans, numbers and lines in the parent's.
import { fileURLToPath } from 'node:url'
import { trace } from '@opentelemetry/api'
import { JsonTraceSerializer, ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import type { Job, Worker, WorkerOptions } from 'bullmq'
import { bullmq, propagation } from 'taskspan/bullmq'
import { bind } from 'taskspan/logging'
import { render } from 'taskspan/metrics'
import type { TelemetryOptions } from 'taskspan/telemetry'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { emitted, ended, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { type Recorded, record } from '../support/record.ts'

// Each starts processes of its own, and a busy machine takes seconds for one.
vi.setConfig({ testTimeout: 90_000 })

const file = fileURLToPath(new URL('../support/sandboxed-clip.ts', import.meta.url))
const threadFile = fileURLToPath(new URL('../support/sandboxed-clip-thread.mjs', import.meta.url))
const inProcess = { workerForkOptions: { execArgv: ['--import', 'tsx'] } }
const inThread = { useWorkerThreads: true }

async function open(
  options: Partial<WorkerOptions> = inProcess,
  more: TelemetryOptions = {},
  before: (recorded: Recorded) => Promise<unknown> = async () => {},
) {
  const recorded = await record({ correlation: ['request_id'], ...more })
  await before(recorded)
  const queue = openQueue(queueName('render'), { telemetry: propagation(recorded.t) })
  const worker = openWorker(queue.name, (options.useWorkerThreads ? threadFile : file) as never, options)
  const observation = bullmq(recorded.t).observe(worker)
  return { ...recorded, queue, worker, observation }
}

interface Ended<Value> {
  readonly value: Value
}

/** The processes or threads in which the worker's jobs run now. */
function childrenOf(worker: Worker) {
  const { childPool } = worker as unknown as { childPool: { retained: Record<string, { kill(signal: string): void }> } }
  return Object.values(childPool.retained)
}

it('one trace from a request to a span that was made in the other process', async () => {
  const { queue, worker, spans } = await open()
  const done = ended(worker)
  await trace.getTracer('api').startActiveSpan('POST /clips', async (request) => {
    await queue.add('sleeps', { n: 1 })
    request.end()
  })
  await done
  expect(spans.outline().split('\n')).toEqual([
    'POST /clips',
    `  send ${queue.name}`,
    '    taskiq.sleeps',
    '      clip.sleep',
  ])
})

it('without an SDK here none is made there, and the rest is told', async () => {
  const { queue, worker, spans, metrics, logs, faults } = await open(inProcess, {}, ({ spans }) => spans.close())
  const done = ended(worker)
  await queue.add('render_clip', {})
  const [end] = await done
  const again = ended(worker)
  await queue.add('sleeps', { n: 1 })
  await again
  expect(await metrics.value('taskiq_service_duration_seconds_count', { operation: 'clip.sleep' })).toBe(1)
  expect(await faults()).toBe(0)
  expect((end as Ended<{ carrier: object }>).value.carrier).toEqual({})
  expect(spans.spans).toEqual([])
  expect(await metrics.value('taskiq_steps_total', { step: 'cut', outcome: 'success' })).toBe(1)
  expect(logs.named('decoded')).toHaveLength(1)
})

it('without log lines here the child writes its own', async () => {
  const { queue, worker, spans } = await open(inProcess, { logging: false })
  const lines: string[] = []
  const done = ended(worker)
  const written = vi.spyOn(process.stdout, 'write').mockImplementation((line) => lines.push(String(line)) > 0)
  onTestFinished(() => written.mockRestore())
  await queue.add('render_clip', {})
  await done
  await expect.poll(() => lines.join('')).toContain('"message":"decoded"') // BullMQ pipes it here
  expect(lines.join('')).toContain(spans.one('taskiq.render_clip').traceId)
})

it('a worker that nobody observes runs the same file, which then stands alone', async () => {
  const { queue, worker, spans, logs, observation } = await open()
  await observation.close()
  const done = ended(worker)
  await queue.add('render_clip', {}, { jobId: 'clip-7' })
  const [end] = await done
  expect(end).toMatchObject({
    event: 'completed',
    value: { cut: 'cut c-7.mp4', task: { name: 'render_clip', id: 'clip-7' } },
  })
  expect(spans.named('taskiq.render_clip')).toEqual([])
  expect(logs.lines).toEqual([])
})

describe.each([
  ['a child process', inProcess, false],
  ['a worker thread', inThread, true],
] as const)('in %s', (_, options, isThread) => {
  it('the trace goes on, and spans, metrics and lines of what happens inside are told here', async () => {
    const { queue, worker, spans, metrics, logs, t } = await open(options)
    const done = ended(worker)
    await bind({ request_id: 'r-81' }, () => queue.add('render_clip', { clip: 7 }, { jobId: 'clip-7', attempts: 2 }))
    const [end] = await done
    const task = spans.one('taskiq.render_clip')
    const send = spans.one(`send ${queue.name}`)
    expect(end).toMatchObject({ event: 'completed', value: { inThread: isThread, cut: 'cut c-7.mp4' } })
    expect((end as Ended<{ task: object }>).value.task).toEqual({
      ...{ name: 'render_clip', queue: queue.name, id: 'clip-7', attempt: 1 },
      correlation: { request_id: 'r-81' },
    })
    expect((end as Ended<{ carrier: object }>).value.carrier).toMatchObject({
      traceparent: `00-${task.traceId}-${task.spanId}-01`,
      baggage: 'request_id=r-81',
    })
    // BullMQ's own calls of the wrapped job.
    expect(end?.job.progress).toBe(50)
    expect(end?.job.data).toEqual({ clip: 7, seen: true })
    expect((await queue.getJobLogs('clip-7')).logs).toEqual(['half way'])

    expect(spans.outline().split('\n')).toEqual([
      `send ${queue.name}`,
      '  taskiq.render_clip',
      '    ext.whisper.transcribe',
      '    credits.reserve',
      '    clip.pipeline',
      '      step.download',
      '      step.cut',
    ])
    expect(task).toMatchObject({ parentSpanId: send.spanId, status: 'unset', kind: 'consumer' })
    const inner = spans.one('ext.whisper.transcribe')
    expect(inner).toMatchObject({ traceId: send.traceId, parentSpanId: task.spanId, kind: 'client' })
    expect(inner.attributes).toMatchObject({ clip_id: '7', request_id: 'r-81' })
    expect(inner.raw.resource).toBe(task.raw.resource)
    expect(spans.one('step.cut').links).toMatchObject([{ spanId: spans.one('step.download').spanId }])

    expect(await metrics.value('taskiq_tasks_total', { task_name: 'render_clip', outcome: 'success' })).toBe(1)
    expect(await metrics.value('taskiq_steps_total', { pipeline: 'clip', step: 'cut', outcome: 'success' })).toBe(1)
    expect(await metrics.value('taskiq_ext_usage_total', { service: 'whisper', unit: 'gpu_seconds' })).toBe(1.5)
    const { body } = await render(metrics.registry, 'application/openmetrics-text')
    expect(body).toMatch(
      new RegExp(
        `taskiq_ext_duration_seconds_bucket\\{.*operation="transcribe".*\\} 1 # \\{trace_id="${send.traceId}"`,
      ),
    )
    expect(body).toContain('taskiq_service_duration_seconds_count{operation="credits.reserve",result="ok"} 1')

    expect(logs.named('decoded')).toMatchObject([
      {
        ...{ level: 'info', frames: 7, password: '[REDACTED]', task_name: 'render_clip', task_id: 'clip-7' },
        ...{ trace_id: task.traceId, span_id: task.spanId, request_id: 'r-81', queue: queue.name, attempt: 1 },
      },
    ])
    expect(logs.named('task.succeeded')).toHaveLength(1)
    expect(logs.named('pipeline.succeeded')).toHaveLength(1)
    expect(t.running.size).toBe(0)
  })

  it('an error keeps its class, its message and its code, and is told once', async () => {
    const seen: unknown[] = []
    const { queue, worker, spans, metrics, logs } = await open(options, { onFailure: (error) => seen.push(error) })
    const done = ended(worker, 2)
    await queue.add('fails', {}, { attempts: 2 })
    const ends = await done
    expect(ends[1]?.value).toMatchObject({
      message: 'codec crashed',
      code: 'E_CODEC',
      stack: expect.stringContaining('sandboxed-clip'),
    })
    const runs = await spans.waitFor('taskiq.fails', 2)
    expect(runs.map(({ attributes }) => [attributes['taskiq.outcome'], attributes['error.type']])).toEqual([
      ['retry', 'CodecError'],
      ['failure', 'CodecError'],
    ])
    expect(await metrics.value('taskiq_task_failures_total', { error_type: 'CodecError' })).toBe(1)
    expect(await metrics.value('taskiq_tasks_total', { task_name: 'fails' })).toBe(2)
    expect(logs.named('task.failed')).toMatchObject([{ error: { type: 'CodecError', message: 'codec crashed' } }])
    expect(seen).toEqual([ends[1]?.value])
  })

  it('a refusal is a refusal, and a delay a delay', async () => {
    const { queue, worker, spans, metrics } = await open(options)
    const done = ended(worker)
    await queue.add('refuses', {}, { attempts: 3 })
    await done
    expect(spans.one('taskiq.refuses').attributes).toMatchObject({ 'taskiq.outcome': 'rejected' })
    expect(await metrics.value('taskiq_messages_rejected_total', { reason: 'malformed' })).toBe(1)
    await queue.add('delays', {})
    const [first] = await spans.waitFor('taskiq.delays', 1)
    expect(first?.attributes['taskiq.outcome']).toBe('deferred')
  })
})

it('a child that is killed in the middle is one failed attempt, with what it had sent', async () => {
  const { queue, worker, spans, metrics, logs, t } = await open()
  const under = emitted(worker, 'progress')
  const done = ended(worker)
  await queue.add('hangs', {})
  await under
  expect([...t.running].map(({ name }) => name)).toEqual(['hangs'])
  for (const child of childrenOf(worker)) child.kill('SIGKILL')
  const [end] = await done
  expect(end).toMatchObject({ event: 'failed', value: { message: 'Unexpected exit code: null signal: SIGKILL' } })
  const task = spans.one('taskiq.hangs')
  expect(task).toMatchObject({
    status: 'error',
    attributes: { 'taskiq.outcome': 'failure', 'error.type': 'SandboxExited' },
  })
  expect(spans.one('frames.decode').parentSpanId).toBe(task.spanId)
  expect(logs.named('about to hang')).toHaveLength(1)
  expect(logs.named('task.failed')).toHaveLength(1)
  expect(logs.named('task.lost')).toEqual([])
  expect(await metrics.value('taskiq_tasks_total', { task_name: 'hangs' })).toBe(1)
  expect(await metrics.value('taskiq_task_failures_total', { error_type: 'SandboxExited' })).toBe(1)
  expect(await metrics.value('taskiq_tasks_in_progress', { task_name: 'hangs' })).toBe(0)
  expect(await metrics.value('taskiq_service_duration_seconds_count', { operation: 'frames.decode' })).toBe(1)

  // What the dead child counted stays counted, beside what its successor counts.
  const again = ended(worker)
  await queue.add('sleeps', { n: 1 })
  await again
  expect(await metrics.value('taskiq_service_duration_seconds_count', { operation: 'frames.decode' })).toBe(1)
  expect(await metrics.value('taskiq_service_duration_seconds_count', { operation: 'clip.sleep' })).toBe(1)
})

it('what a child says last before it is killed arrives', async () => {
  const { queue, worker, spans, logs } = await open()
  const done = ended(worker)
  await queue.add('dies', {})
  await done
  expect(logs.named('last words')).toHaveLength(1)
  expect(spans.one('frames.decode').parentSpanId).toBe(spans.one('taskiq.dies').spanId)
})

it('a child that crashes is told with the error that BullMQ has of it', async () => {
  const { queue, worker, spans } = await open()
  const done = ended(worker)
  await queue.add('crashes', {})
  const [end] = await done
  expect(end?.value).toMatchObject({ message: 'outside of every promise' })
  expect(spans.one('taskiq.crashes').attributes).toMatchObject({
    'error.type': 'TypeError',
    'taskiq.outcome': 'failure',
  })
})

it('what was not sampled by the sender is not recorded there either', async () => {
  const { queue, worker, spans, metrics } = await open()
  const done = ended(worker)
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'
  const plain = openQueue(queue.name)
  await plain.add('render_clip', {}, { telemetry: { metadata: JSON.stringify({ traceparent }) } })
  const [end] = await done
  expect((end as Ended<{ carrier: object }>).value.carrier).toMatchObject({
    traceparent: expect.stringMatching(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/),
  })
  expect(spans.spans).toEqual([])
  expect(await metrics.value('taskiq_steps_total', { step: 'cut' })).toBe(1)
})

it('the handler sees its job as BullMQ made it', async () => {
  const { queue, worker } = await open()
  const done = ended(worker)
  await queue.add('lists', {})
  const [end] = await done
  expect(end?.value).toContain('queueQualifiedName')
  expect(end?.value).not.toContain('taskspan')
})

it('what the child sends is as good for an exporter as a span of this process', async () => {
  const { queue, worker, spans } = await open()
  const done = ended(worker)
  await queue.add('sleeps', { n: 1 })
  await done
  const pair = [spans.one('taskiq.sleeps').raw, spans.one('clip.sleep').raw] as never
  const { resourceSpans } = JSON.parse(new TextDecoder().decode(JsonTraceSerializer.serializeRequest(pair)))
  expect(resourceSpans).toHaveLength(1) // one resource: the parent's
  const inner = resourceSpans[0].scopeSpans.flatMap(({ spans }: { spans: object[] }) => spans).at(-1)
  expect(inner).toMatchObject({
    name: 'clip.sleep',
    traceId: spans.one('clip.sleep').traceId,
    parentSpanId: spans.one('taskiq.sleeps').spanId,
  })
  expect(ProtobufTraceSerializer.serializeRequest(pair)?.byteLength).toBeGreaterThan(200)
})

it('where the buckets here are others, what the child has counted goes where its upper bounds are', async () => {
  const { queue, worker, metrics } = await open(inProcess, { durationBuckets: [0.007, 60] })
  const done = ended(worker)
  await queue.add('sleeps', { n: 1 })
  await done
  const bucket = (le: string | number) =>
    metrics.value('taskiq_service_duration_seconds_bucket', { operation: 'clip.sleep', le: String(le) })
  expect([await bucket(0.007), await bucket(60), await bucket('+Inf')]).toEqual([0, 1, 1])
  expect(await metrics.value('taskiq_service_duration_seconds_sum', { operation: 'clip.sleep' })).toBeGreaterThan(0.015)
})

it('jobs side by side, each in its own child, keep their traces apart', async () => {
  const { queue, worker, spans, metrics } = await open({ ...inProcess, concurrency: 3 })
  const done = ended(worker, 9)
  await Promise.all(Array.from({ length: 9 }, (_, n) => queue.add('sleeps', { n })))
  const ends = await done
  expect(ends.map(({ value }) => value).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
  const tasks = spans.named('taskiq.sleeps')
  expect(tasks).toHaveLength(9)
  for (const task of tasks) {
    const job = ends.find((end) => end.job.id === task.attributes['messaging.message.id'])?.job as Job
    expect(task.children.map(({ attributes }) => attributes.clip_id)).toEqual([String(job.data.n)])
  }
  expect(await metrics.value('taskiq_service_duration_seconds_count', { operation: 'clip.sleep' })).toBe(9)
})

it('a signal reaches the handler, and what it throws then is a cancellation', async () => {
  const { queue, worker, spans } = await open()
  const under = emitted(worker, 'progress')
  const job = await queue.add('waits', {})
  await under
  const done = ended(worker)
  worker.cancelJob(String(job.id))
  await done
  expect(spans.one('taskiq.waits').attributes['taskiq.outcome']).toBe('cancelled')
})

it('a flood of lines arrives as far as its bounds allow, and what is over is counted here', async () => {
  const { queue, worker, logs, metrics } = await open()
  const done = ended(worker)
  await queue.add('floods', {})
  const [end] = await done
  expect(end?.value).toBe('flooded')
  const lines = logs.named('flood').length
  const over = (await metrics.value('taskiq_telemetry_errors_total', { part: 'processes', reason: 'overflow' })) ?? 0
  expect(lines).toBeGreaterThan(10_000)
  expect(over).toBeGreaterThan(1_000)
  expect(lines + over).toBe(40_000)
})

it('messages that are not as they should be do nothing but count', async () => {
  const { queue, worker, spans, logs, metrics, faults } = await open()
  const before = await metrics.registry.getMetricsAsJSON()
  expect(before.length).toBeGreaterThan(10)
  const done = ended(worker)
  await queue.add('forges', {})
  const [end] = await done
  expect(end?.value).toBe('forged')
  expect(spans.spans.map(({ name }) => name)).toEqual([`send ${queue.name}`, 'taskiq.forges'])
  expect(logs.lines.map(({ message }) => message)).toEqual(['task.started', 'task.succeeded'])
  expect(await metrics.value('taskiq_tasks_total')).toBe(1)
  expect(await metrics.value('taskiq_tasks_in_progress')).toBe(0)
  expect(await metrics.value('taskiq_ext_duration_seconds_count')).toBeUndefined()
  expect(await faults()).toBeGreaterThan(8)
})
