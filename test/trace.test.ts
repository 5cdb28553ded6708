// The point of it all: one trace from the request to the last task, in spans, log lines and exemplars alike.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SpanKind, trace } from '@opentelemetry/api'
import type { Job, Queue, Worker } from 'bullmq'
import { bullmq, inject, propagation } from 'taskspan/bullmq'
import { bind, log } from 'taskspan/logging'
import { render } from 'taskspan/metrics'
import type { RecordedSpan } from 'taskspan/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Broker, openEmbedded } from '../examples/demo/embedded.ts'
import { ended, openQueue, openWorker, queueName } from './support/bullmq.ts'
import { type Recorded, record } from './support/record.ts'

/** An API that enqueues what it is asked for: a server span, with the request's id bound. */
async function startApi(enqueue: () => Promise<unknown>): Promise<string> {
  const server = createServer((request, response) => {
    const requestId = String(request.headers['x-request-id'])
    void trace.getTracer('api').startActiveSpan('POST /clips', { kind: SpanKind.SERVER }, (span) =>
      bind({ request_id: requestId }, async () => {
        log().info('accepted')
        await enqueue()
        span.end()
        response.writeHead(202).end()
      }),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

interface Cast {
  readonly clips: Queue
  readonly mails: Queue
  worker(queue: Queue, processor: (job: Job) => Promise<unknown>): Worker
}

/** A request enqueues a task, which enqueues another; everything that is said of them carries one trace id. */
async function tellsOneStory({ t, spans, metrics, logs }: Recorded, { clips, mails, worker }: Cast): Promise<void> {
  const instrument = bullmq(t)
  worker(
    clips,
    instrument(async () => {
      log().info('rendering')
      await mails.add('send_mail', { to: 'ada' }, inject())
    }),
  )
  const last = worker(
    mails,
    instrument(async () => {
      log().info({ template: 'ready' }, 'mailing')
      await new Promise((resolve) => setTimeout(resolve, 5))
      log().info('mailed')
    }),
  )
  const done = ended(last)
  const api = await startApi(() => clips.add('render_clip', { clip: 7 }))
  expect((await fetch(api, { method: 'POST', headers: { 'x-request-id': 'r-1' } })).status).toBe(202)
  await done
  await logs.waitFor('task.succeeded', 2)

  // The spans: who is below whom, of which kind, in one trace.
  const [task] = await spans.waitFor('taskiq.send_mail', 1)
  const chain = ancestors(task)
  expect(chain.map(({ name, kind }) => [name, kind])).toEqual([
    ['taskiq.send_mail', 'consumer'],
    [`send ${mails.name}`, 'producer'],
    ['taskiq.render_clip', 'consumer'],
    [`send ${clips.name}`, 'producer'],
    ['POST /clips', 'server'],
  ])
  expect(spans.spans).toHaveLength(5)
  const traceId = String(task?.traceId)
  expect(new Set(spans.spans.map((span) => span.traceId))).toEqual(new Set([traceId]))
  expect(chain.map(({ attributes }) => attributes.request_id)).toEqual(['r-1', 'r-1', 'r-1', 'r-1', undefined])

  // The log lines: each stands in the trace, at its own span, and belongs to the request.
  const expected = [
    ['accepted', 'POST /clips'],
    ['task.started', 'taskiq.render_clip'],
    ['rendering', 'taskiq.render_clip'],
    ['task.succeeded', 'taskiq.render_clip'],
    ['task.started', 'taskiq.send_mail'],
    ['mailing', 'taskiq.send_mail'],
    ['mailed', 'taskiq.send_mail'],
    ['task.succeeded', 'taskiq.send_mail'],
  ]
  const spanNames = new Map(chain.map(({ spanId, name }) => [spanId, name]))
  const lines = logs.lines.map(({ message, span_id }) => [message, spanNames.get(String(span_id))])
  expect(lines.sort()).toEqual(expected.sort())
  for (const line of logs.lines) expect(line).toMatchObject({ trace_id: traceId, request_id: 'r-1' })

  // The exemplars: from the histogram of each task to its span.
  const { body } = await render(metrics.registry, 'application/openmetrics-text')
  for (const name of ['render_clip', 'send_mail']) {
    const spanId = spans.one(`taskiq.${name}`).spanId
    const bucket = body
      .split('\n')
      .find(
        (line) => line.startsWith('taskiq_tasks_duration_seconds_bucket') && line.includes(name) && line.includes('#'),
      )
    expect(bucket).toContain(`# {trace_id="${traceId}",span_id="${spanId}"}`)
  }
}

const ancestors = (span: RecordedSpan | undefined): RecordedSpan[] =>
  span === undefined ? [] : [span, ...ancestors(span.parent)]

describe('one trace id through request, send, task, send, task, with the log lines and exemplars', () => {
  it('on Redis', async () => {
    const recorded = await record({ correlation: ['request_id'] })
    const open = (base: string) => openQueue(queueName(base), { telemetry: propagation(recorded.t) })
    await tellsOneStory(recorded, {
      clips: open('clips'),
      mails: open('mails'),
      worker: (queue, processor) => openWorker(queue.name, processor),
    })
  })

  it('on PostgreSQL', { timeout: 90_000 }, async () => {
    const recorded = await record({ correlation: ['request_id'] })
    const broker: Broker = await openEmbedded()
    onTestFinished(() => broker.close())
    const open = (base: string) => broker.queue(queueName(base), { telemetry: propagation(recorded.t) }) as Queue
    await tellsOneStory(recorded, {
      clips: open('clips'),
      mails: open('mails'),
      worker: (queue, processor) => broker.worker(queue.name, processor) as Worker,
    })
  })
})
