// The span of each kind of task: name, kind, attributes, status, exception, size.
import { trace } from '@opentelemetry/api'
import { JsonTraceSerializer } from '@opentelemetry/otlp-transformer'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import {
  compose,
  type Ending,
  type Middleware,
  type Outcome,
  produce,
  reject,
  type Task,
  type TaskFields,
} from 'taskspan'
import { telemetry } from 'taskspan/telemetry'
import { type RecordedSpan, recordSpans } from 'taskspan/testing'
import { tracing } from 'taskspan/tracing'
import { describe, expect, it, onTestFinished } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }
import { createTask } from '../../src/kernel/create-task.ts'
import { faultsOf } from '../support/faults.ts'
import { runner, taskOf, turns } from '../support/run.ts'

const fail = (error: unknown) => (): never => {
  throw error
}

/** The one span of a task that ran with these options and fields. */
async function spanOf(
  fields: Partial<TaskFields> = {},
  {
    middleware = tracing(),
    handler = () => {},
    judge,
    isTimer = false,
  }: { middleware?: Middleware; handler?: () => unknown; judge?: () => Outcome; isTimer?: boolean } = {},
): Promise<RecordedSpan> {
  await using spans = recordSpans()
  const run = runner(middleware, { system: isTimer ? undefined : 'memory', ...(judge && { judge }), settle: () => {} })
  await run(fields, handler)
  expect(spans.open).toEqual([])
  expect(spans.spans).toHaveLength(1)
  return spans.spans[0] as RecordedSpan
}

describe('the span of a task', () => {
  it('is named after the task, of kind CONSUMER', async () => {
    expect(await spanOf({ name: 'render_clip' })).toMatchObject({ name: 'taskiq.render_clip', kind: 'consumer' })
  })

  it('is INTERNAL where no message is involved', async () => {
    const span = await spanOf({ name: 'tick', type: 'cron' }, { isTimer: true })
    expect(span.kind).toBe('internal')
    expect(Object.keys(span.attributes).filter((key) => key.startsWith('messaging.'))).toEqual([])
  })

  it('has every attribute that is known at the start', async () => {
    const span = await spanOf({
      ...{ name: 'render', queue: 'clips', id: 'job-7', type: 'cron', attempt: 3, maxAttempts: 5, priority: 2 },
      ...{ waitMs: 120, lost: undefined },
      schedule: { id: 'nightly', time: Date.UTC(2026, 0, 2, 3), driftMs: 40 },
      attributes: { 'messaging.rabbitmq.destination.routing_key': 'eu.clips' },
      details: { 'my.detail': 1 },
    })
    expect(span.attributes).toEqual({
      task_type: 'cron',
      'taskiq.task.name': 'render',
      'taskiq.attempt': 3,
      'taskiq.max_attempts': 5,
      'taskiq.wait_ms': 120,
      'taskiq.priority': 2,
      'taskiq.schedule.id': 'nightly',
      'taskiq.schedule.time': '2026-01-02T03:00:00.000Z',
      'taskiq.schedule.drift_ms': 40,
      'taskiq.my.detail': 1,
      'taskiq.outcome': 'success',
      'messaging.system': 'memory',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'clips',
      'messaging.message.id': 'job-7',
      'messaging.message.retry.count': 2,
      'messaging.message.receive.latency': 120,
      'messaging.rabbitmq.destination.routing_key': 'eu.clips',
    })
  })

  it('has no attribute for what is not known', async () => {
    const span = await spanOf({ name: 'render', queue: 'clips' })
    expect(span.attributes).toEqual({
      task_type: 'on_demand',
      'taskiq.task.name': 'render',
      'taskiq.attempt': 1,
      'taskiq.outcome': 'success',
      'messaging.system': 'memory',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'clips',
    })
  })

  it('survives a time that is none', async () => {
    const span = await spanOf({ schedule: { id: 's', time: Number.NaN } })
    expect(span.attributes['taskiq.schedule.time']).toBe('NaN')
  })

  it('takes its prefix from the option', async () => {
    const span = await spanOf({ waitMs: 1, priority: 1 }, { middleware: tracing({ prefix: 'jobs' }) })
    expect(span.name).toBe('jobs.render')
    expect(Object.keys(span.attributes).filter((key) => key.startsWith('taskiq'))).toEqual([])
    expect(span.attributes).toMatchObject({ 'jobs.task.name': 'render', 'jobs.outcome': 'success', 'jobs.wait_ms': 1 })
  })

  it('is active in the handler and in middleware inside of it, not in middleware around it', async () => {
    await using spans = recordSpans()
    const seen: (string | undefined)[] = []
    const look = (): void => void seen.push(trace.getActiveSpan()?.spanContext().spanId)
    const looking: Middleware = async (_, next) => {
      look()
      await next()
      look()
    }
    await runner(compose(looking, tracing(), looking))({}, async () => {
      await turns()
      look()
    })
    const { spanId } = spans.one('taskiq.render')
    expect(seen).toEqual([undefined, spanId, spanId, spanId, undefined])
  })
})

const OUTCOMES: readonly [Outcome, () => unknown, (() => Outcome) | undefined, 'unset' | 'error'][] = [
  ['success', () => 'done', undefined, 'unset'],
  ['failure', fail(new RangeError('too far')), undefined, 'error'],
  ['retry', fail(new RangeError('too far')), () => 'retry', 'error'],
  ['deferred', fail(new RangeError('too far')), () => 'deferred', 'unset'],
  ['rejected', fail(reject('expired')), undefined, 'unset'],
]

describe('how a task ended', () => {
  it.each(OUTCOMES)('%s', async (outcome, handler, judge, status) => {
    const span = await spanOf({}, { handler, ...(judge && { judge }) })
    const isError = status === 'error'
    expect(span).toMatchObject({ status, statusMessage: isError ? 'too far' : undefined })
    expect(span.attributes).toMatchObject({ 'taskiq.outcome': outcome })
    expect(span.attributes['error.type']).toBe(isError ? 'RangeError' : undefined)
    expect(span.attributes['taskiq.will_retry']).toBe(outcome === 'success' ? undefined : outcome === 'retry')
    expect(span.attributes['taskiq.reject_reason']).toBe(outcome === 'rejected' ? 'expired' : undefined)
    expect(span.attributes).not.toHaveProperty('taskiq.truncated')
    expect(span.events).toEqual(
      isError
        ? [
            {
              name: 'exception',
              attributes: {
                'exception.type': 'RangeError',
                'exception.message': 'too far',
                'exception.stacktrace': expect.stringContaining('tracing.test.ts'),
              },
            },
          ]
        : [],
    )
  })

  it('cancelled', async () => {
    await using spans = recordSpans()
    await runner(tracing(), { settle: () => {} })({}, fail(new Error('stopped')), AbortSignal.abort())
    expect(spans.one('taskiq.render')).toMatchObject({
      status: 'unset',
      events: [],
      attributes: { 'taskiq.outcome': 'cancelled', 'taskiq.will_retry': false },
    })
  })

  it('records the exception once, however many middlewares look at it', async () => {
    await using spans = recordSpans()
    const looking: Middleware = (_, next) => next()
    const t = compose(looking, telemetry({ metrics: false, logging: false }), looking)
    await runner(t, { settle: () => {} })({}, fail(new Error('no')))
    expect(spans.one('taskiq.render').events).toHaveLength(1)
  })

  it.each([
    ['undefined', undefined, 'undefined'],
    ['a text', 'no funds for order 4711', 'string'],
    ['an object', { message: 'order 4711' }, 'Object'],
  ])('has the type of what was thrown, never its text: %s', async (_, thrown, type) => {
    const span = await spanOf({}, { handler: fail(thrown) })
    expect(span.attributes['error.type']).toBe(type)
    expect(span.status).toBe('error')
  })

  it('says so where the message or the stack was too long to be kept', async () => {
    const span = await spanOf({}, { handler: fail(new Error('x'.repeat(5_000))) })
    expect(span.attributes['taskiq.truncated']).toBe(true)
    expect(span.statusMessage).toHaveLength(4_096)
  })

  it('ends the span with what the handler threw though a middleware inside changed it', async () => {
    const outer = new Error('outer')
    const changing: Middleware = (_, next) => next().catch(fail(outer))
    const span = await spanOf({}, { middleware: compose(tracing(), changing), handler: fail(new Error('inner')) })
    expect(span.statusMessage).toBe('outer')
  })
})

describe('a step and a pipeline', () => {
  it('have their own names, and their outcome under two keys', async () => {
    await using spans = recordSpans()
    const t = tracing()
    const run = async (kind: 'step' | 'pipeline', fields: TaskFields) => {
      const task = createTask(kind, fields)
      await t(task, async () => {
        task.endDetails = { [`${kind}.skip_reason`]: 'x'.repeat(10_000), [`${kind}.none`]: undefined }
      })
    }
    await run('pipeline', { name: 'analysis', queue: 'analysis', details: { 'pipeline.run_id': 'r-1' } })
    await run('step', { name: 'download', queue: 'analysis' })
    expect(spans.one('analysis.pipeline')).toMatchObject({
      kind: 'internal',
      attributes: {
        'taskiq.pipeline.run_id': 'r-1',
        'taskiq.pipeline.outcome': 'success',
        'taskiq.outcome': 'success',
      },
    })
    const step = spans.one('step.download')
    expect(step.kind).toBe('internal')
    expect(step.attributes).toEqual({
      'taskiq.pipeline.name': 'analysis',
      'taskiq.step.id': 'download',
      'taskiq.step.attempt': 1,
      'taskiq.outcome': 'success',
      'taskiq.step.outcome': 'success',
      'taskiq.step.skip_reason': 'x'.repeat(4_096),
    })
  })
})

describe('attributes of the user', () => {
  it('stand on the span at its start, made from the task', async () => {
    const middleware = tracing({ attributes: (task: Task) => ({ tenant: `t-${task.name}`, tags: ['a', 'b'] }) })
    expect((await spanOf({}, { middleware })).attributes).toMatchObject({ tenant: 't-render', tags: ['a', 'b'] })
    const none = tracing({ attributes: () => undefined })
    expect((await spanOf({}, { middleware: none })).attributes['taskiq.outcome']).toBe('success')
  })

  it('may throw: counted, and the span is there without them', async () => {
    const faults = faultsOf('tracing', 'attributes')
    const span = await spanOf({}, { middleware: tracing({ attributes: fail(new Error('no')) }) })
    expect(span.attributes['taskiq.outcome']).toBe('success')
    expect(faults()).toBe(1)
  })

  it('are cut at 64 keys, 4 KiB each and 24 KiB together, and marked as cut', async () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`k${at}`, at]))
    const span = await spanOf({}, { middleware: tracing({ attributes: () => many }) })
    expect(Object.keys(span.attributes).filter((key) => /^k\d+$/.test(key))).toHaveLength(64)
    expect(span.attributes['taskiq.truncated']).toBe(true)

    const long = tracing({
      attributes: () => ({ text: '错'.repeat(1_000_000), list: new Array(900).fill('错'.repeat(99)) }),
    })
    const { attributes } = await spanOf({}, { middleware: long })
    expect(Buffer.byteLength(attributes.text as string)).toBeLessThanOrEqual(4_096)
    expect(attributes.list).toHaveLength(64)
    expect(attributes['taskiq.truncated']).toBe(true)
  })
})

it.each(['x', '错', '🧨'])('keeps a span under 64 KiB whatever is thrown, added and sent: %s', async (letter) => {
  const huge = letter.repeat(5_000_000)
  class HugeError extends Error {
    override stack = huge
  }
  const attributes = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`key_${at}`, huge]))
  await using spans = recordSpans()
  const run = runner(tracing({ attributes: () => attributes }), { settle: () => {} })
  await run({ name: huge, queue: huge, id: huge, schedule: { id: huge } }, fail(new HugeError(huge)))
  const span = spans.spans[0] as RecordedSpan
  expect(span.attributes['taskiq.truncated']).toBe(true)
  // Without the resource, which every span of a process shares.
  const wire = JSON.parse(Buffer.from(JsonTraceSerializer.serializeRequest([span.raw]) ?? []).toString())
  expect(Buffer.byteLength(JSON.stringify(wire.resourceSpans[0].scopeSpans[0]))).toBeLessThan(65_536)
})

describe('without an SDK, and with one that comes and goes', () => {
  it('runs tasks and records nothing', async () => {
    expect(await runner(tracing())({}, () => 7)).toBe(7)
  })

  it('records from the moment an SDK is registered, into whichever is registered now', async () => {
    const run = runner(tracing())
    await run({ name: 'before' })
    const first = recordSpans()
    onTestFinished(() => first.close())
    await run({ name: 'first' })
    await first.close()
    await run({ name: 'between' })
    await using second = recordSpans()
    await run({ name: 'second' })
    expect(first.spans.map(({ name }) => name)).toEqual(['taskiq.first'])
    expect(second.spans.map(({ name }) => name)).toEqual(['taskiq.second'])
  })

  it('asks for its tracer anew when another provider takes the place of the first', async () => {
    const run = runner(tracing())
    const seen: string[] = []
    for (const name of ['one', 'two']) {
      const onEnd = (): unknown => seen.push(name)
      const processor = { onStart() {}, onEnd, forceFlush: async () => {}, shutdown: async () => {} }
      trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [processor] }))
      await run()
      trace.disable()
    }
    expect(seen).toEqual(['one', 'two'])
  })

  it('starts a span of its own name and version of the instrumentation', async () => {
    const { raw } = await spanOf()
    expect(raw.instrumentationScope).toMatchObject({ name: 'taskspan', version: manifest.version })
  })
})

describe('events outside any run', () => {
  it('show a lost attempt as a zero-length ERROR span, linked both ways with the run that saw it', async () => {
    await using spans = recordSpans()
    await runner(tracing())({ lost: 2, attempt: 3 })
    const [one, two, run] = spans.spans as [RecordedSpan, RecordedSpan, RecordedSpan]
    for (const lost of [one, two]) {
      expect(lost).toMatchObject({ name: 'taskiq.render', kind: 'consumer', status: 'error' })
      expect(lost.attributes).toMatchObject({
        'taskiq.outcome': 'lost',
        'error.type': 'Lost',
        'taskiq.task.name': 'render',
      })
      expect(lost.statusMessage).toMatch(/start is not known/)
      expect(lost.durationMs).toBe(0)
      expect(lost.links).toMatchObject([{ spanId: run.spanId }])
    }
    expect(run.links.map(({ spanId }) => spanId)).toEqual([one.spanId, two.spanId])
    expect(run).toMatchObject({ status: 'unset', attributes: { 'taskiq.recovered': true } })
  })

  it('draw at most five lost attempts, however many a message claims', async () => {
    await using spans = recordSpans()
    await runner(tracing())({ lost: 1_000_000_000 })
    expect(spans.spans).toHaveLength(6)
  })

  it('show a failure that no handler saw', async () => {
    await using spans = recordSpans()
    tracing().notice?.({ kind: 'failed', task: await taskOf(), error: new RangeError('stalled too often') })
    expect(spans.one('taskiq.render')).toMatchObject({ status: 'error', attributes: { 'error.type': 'RangeError' } })
  })

  it('put what is noted about a running task on its span', async () => {
    await using spans = recordSpans()
    const t = tracing()
    await runner(
      compose(t, (task, next) => {
        t.notice?.({ kind: 'note', task, level: 'warn', name: 'step.waiting', details: { 'step.id': 'a' } })
        return next()
      }),
    )()
    expect(spans.one('taskiq.render').events).toEqual([
      { name: 'taskiq.step.waiting', attributes: { 'taskiq.step.id': 'a' } },
    ])
  })
})

it('tells the ending to whoever asks after it, as the span says it', async () => {
  let ending: Ending | undefined
  await using spans = recordSpans()
  const asking: Middleware = async (task, next) => {
    await next().catch(() => {})
    ending = task.ending
  }
  await runner(compose(asking, tracing()))({}, fail(new Error('no')))
  expect(ending?.outcome).toBe(spans.one('taskiq.render').attributes['taskiq.outcome'])
})

it('names a send without a destination plainly', async () => {
  await using spans = recordSpans()
  produce('memory', tracing(), { name: '', queue: '' }, () => true)
  const span = await spans.waitFor('send')
  expect(span.attributes).not.toHaveProperty('messaging.destination.name')
  expect(span.attributes).not.toHaveProperty('taskiq.task.name')
})
