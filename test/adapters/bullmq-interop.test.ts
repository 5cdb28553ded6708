// Beside bullmq-otel: a trace begun by one side continues on the other, in the field that both read and write.
import { trace } from '@opentelemetry/api'
import type { Job, Telemetry } from 'bullmq'
import { BullMQOtel } from 'bullmq-otel'
import { bullmq, inject, injectFlow, propagation } from 'taskspan/bullmq'
import type { RecordedSpan } from 'taskspan/testing'
import { expect, it } from 'vitest'
import { ended, openFlow, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'

const theirs = (): Telemetry => new BullMQOtel({ tracerName: 'test' }) as unknown as Telemetry

const request = <T>(fn: () => Promise<T>): Promise<T> =>
  trace.getTracer('test').startActiveSpan('request', async (span) => {
    try {
      return await fn()
    } finally {
      span.end()
    }
  })

const ancestors = (span: RecordedSpan | undefined): string[] =>
  span === undefined ? [] : [span.name, ...ancestors(span.parent)]

it("a trace begun by bullmq-otel's queue continues in our worker", async () => {
  const { t, spans } = await record({ correlation: ['request_id'] })
  const queue = openQueue(queueName('render'), { telemetry: theirs() })
  const worker = openWorker(
    queue.name,
    bullmq(t)(async () => {}),
  )
  const done = ended(worker)
  await request(() => queue.add('render_clip', {}))
  await done
  expect(ancestors(await spans.waitFor('taskiq.render_clip'))).toEqual([
    'taskiq.render_clip',
    `add ${queue.name}.render_clip`,
    'request',
  ])
})

it.each([
  ['propagation()', () => propagation(), (send: string) => [send, 'request']],
  ['inject()', () => undefined, () => ['request']],
])("a trace begun by our %s continues in bullmq-otel's worker", async (_, make, expected) => {
  const { spans } = await record()
  const telemetry = make()
  const queue = openQueue(queueName('render'), telemetry && { telemetry })
  const worker = openWorker(queue.name, async () => {}, { telemetry: theirs() })
  const done = ended(worker)
  await request(() => queue.add('render_clip', {}, inject()))
  await done
  const processed = await spans.waitFor(`process ${queue.name}`)
  expect(ancestors(processed)).toEqual([processed.name, ...expected(`send ${queue.name}`)])
})

it("a flow of ours continues in bullmq-otel's workers, and theirs in ours", async () => {
  const { t, spans } = await record()
  const [top, leaf] = [queueName('exports'), queueName('clips')]
  const flow = { name: 'export', queueName: top, opts: {}, children: [{ name: 'clip', queueName: leaf, opts: {} }] }
  const mine = openWorker(
    leaf,
    bullmq(t)(async () => {}),
  )
  const other = openWorker(top, async () => {}, { telemetry: theirs() })
  const first = Promise.all([ended(mine), ended(other)])
  await request(() => openFlow().add(injectFlow(flow)))
  await first
  expect((await spans.waitFor(`process ${top}`)).parent?.name).toBe(`send ${top}`)
  const second = ended(mine)
  await request(() => openFlow({ telemetry: theirs() }).add(flow))
  await second
  const [, clip] = await spans.waitFor('taskiq.clip', 2)
  expect(ancestors(clip)).toEqual(['taskiq.clip', `addNode ${leaf}`, `addNode ${top}`, `addFlow ${top}`, 'request'])
})

it('both in one worker: our span is the sibling of theirs under the sender', async () => {
  const { t, spans } = await record()
  const queue = openQueue(queueName('render'), { telemetry: propagation() })
  let active: string | undefined
  const worker = openWorker(
    queue.name,
    bullmq(t)(async () => {
      active = trace.getActiveSpan()?.spanContext().spanId
    }),
    { telemetry: theirs() },
  )
  const done = ended(worker)
  await queue.add('render_clip', {})
  await done
  const ours = await spans.waitFor('taskiq.render_clip')
  const [process] = await spans.waitFor(`process ${queue.name}`, 1)
  expect(ours.parent?.name).toBe(`send ${queue.name}`)
  expect(process?.parent).toBe(ours.parent)
  expect(active).toBe(ours.spanId)
})

it("a retry under bullmq-otel's worker leaves the sender's carrier to ours", async () => {
  const { t, spans } = await record()
  const queue = openQueue(queueName('pay'), { telemetry: propagation() })
  const worker = openWorker(
    queue.name,
    bullmq(t)(async (job: Job) => {
      if (job.attemptsMade === 0) throw new Error('again')
    }),
    { telemetry: theirs() },
  )
  const done = ended(worker, 2)
  await queue.add('pay', {}, { attempts: 2 })
  await done
  const attempts = await spans.waitFor('taskiq.pay', 2)
  const send = spans.one(`send ${queue.name}`)
  expect(attempts.map(({ parentSpanId }) => parentSpanId)).toEqual([send.spanId, send.spanId])
})
