// What users' tests are built on: recorders that say what happened, a broker in memory, replays, the picture.
import { context, propagation, SpanStatusCode, trace } from '@opentelemetry/api'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import type { Job } from 'bullmq'
import { pino } from 'pino'
import { type Adapter, type Middleware, TaskspanError } from 'taskspan'
import { bullmq } from 'taskspan/bullmq'
import { log, mixin } from 'taskspan/logging'
import { telemetry } from 'taskspan/telemetry'
import { fakeBroker, recordLogs, recordMetrics, recordSpans, replay, type SpanRecorder } from 'taskspan/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const tracer = trace.getTracer('test')
const inSpan = <T>(name: string, fn: () => T): T =>
  tracer.startActiveSpan(name, (span) => {
    try {
      return fn()
    } finally {
      span.end()
    }
  })

let spans: SpanRecorder
beforeEach(() => {
  spans = recordSpans()
})
afterEach(() => spans.close())

describe('recordSpans', () => {
  it('shows spans as a tree, siblings by their start', () => {
    inSpan('request', () => {
      inSpan('first', () => inSpan('inner', () => {}))
      inSpan('second', () => {})
    })
    inSpan('other', () => {})
    expect(spans.outline()).toBe('request\n  first\n    inner\n  second\nother')
    expect(spans.tree().map((span) => span.name)).toEqual(['request', 'other'])
    expect(spans.one('inner').parent?.parent?.children.map((span) => span.name)).toEqual(['first', 'second'])
  })

  it('reads kind, status, attributes, links and events in words', () => {
    const first = tracer.startSpan('first')
    first.end()
    const span = tracer.startSpan('second', {
      kind: 4,
      attributes: { a: 1 },
      links: [{ context: first.spanContext() }],
    })
    span.setStatus({ code: SpanStatusCode.ERROR, message: 'broken' })
    span.addEvent('seen', { by: 'me' })
    span.end()
    expect(spans.one('second')).toMatchObject({
      kind: 'consumer',
      status: 'error',
      statusMessage: 'broken',
      attributes: { a: 1 },
      links: [{ traceId: first.spanContext().traceId, spanId: first.spanContext().spanId }],
      events: [{ name: 'seen', attributes: { by: 'me' } }],
      parentSpanId: undefined,
      parent: undefined,
    })
  })

  it('waits for spans that end later, by event, and for those that ended before', async () => {
    const later = spans.waitFor('late', 2)
    setImmediate(() => inSpan('late', () => inSpan('late', () => {})))
    expect((await later).map((span) => span.name)).toEqual(['late', 'late'])
    expect((await spans.waitFor('late')).name).toBe('late')
  })

  it('says what was recorded when a span does not come, or is not the only one', async () => {
    inSpan('here', () => inSpan('here', () => {}))
    await expect(spans.waitFor('gone', 1, { timeoutMs: 5 })).rejects.toMatchObject({
      code: 'NOT_RECORDED',
      message: expect.stringContaining('here, here'),
    })
    expect(() => spans.one('here')).toThrow(/2 spans named 'here'/)
  })

  it('lists spans that were left open, and forgets everything on reset', () => {
    const left = tracer.startSpan('left')
    inSpan('ended', () => {})
    expect(spans.open).toEqual(['left'])
    spans.reset()
    expect([spans.open, spans.spans, spans.outline()]).toEqual([[], [], ''])
    left.end()
  })

  it('unregisters what it registered', async () => {
    await spans.close()
    inSpan('after', () => expect(trace.getActiveSpan()).toBeUndefined())
    expect(trace.getTracer('new').startSpan('after').isRecording()).toBe(false)
    expect(propagation.fields()).toEqual([])
    expect(spans.spans).toEqual([])
  })

  it('records what a tracer made before, or kept from another recorder, starts', async () => {
    await spans.close()
    spans = recordSpans()
    inSpan('kept', () => {})
    expect(spans.outline()).toBe('kept')
  })

  it('refuses to stand beside another SDK, and records through its processor instead', async () => {
    expect(() => recordSpans()).toThrow(expect.objectContaining({ code: 'SDK_REGISTERED' }))
    await spans.close()
    const theirs = recordSpans({ register: false })
    const provider = new NodeTracerProvider({ spanProcessors: [theirs.processor] })
    provider.getTracer('theirs').startSpan('theirs').end()
    expect(theirs.outline()).toBe('theirs')
    expect(() => recordSpans({ registre: true } as never)).toThrow(TaskspanError)
  })

  it('leaves an SDK alone that has taken its place', async () => {
    trace.disable()
    const provider = new NodeTracerProvider()
    trace.setGlobalTracerProvider(provider)
    await spans.close()
    expect(trace.getTracer('theirs').startSpan('x').isRecording()).toBe(true)
    trace.disable()
    context.disable()
    propagation.disable()
  })
})

describe('recordMetrics', () => {
  it('reads counters, gauges and histograms, by any of their labels', async () => {
    const metrics = recordMetrics()
    const broker = fakeBroker(telemetry({ registry: metrics.registry, logging: false }))
    broker.consume('orders', () => {})
    broker.send('orders', { name: 'save' })
    broker.send('orders', { name: 'drop' })
    await broker.settled(2)
    expect(await metrics.value('taskiq_tasks_total', { outcome: 'success' })).toBe(2)
    expect(await metrics.value('taskiq_tasks_total', { task_name: 'save' })).toBe(1)
    expect(await metrics.value('taskiq_tasks_duration_seconds_count', { queue: 'orders' })).toBe(2)
    expect(await metrics.value('taskiq_tasks_total', { outcome: 'failure' })).toBeUndefined()
    const [series] = (await metrics.series('taskiq_tasks_duration_seconds_bucket', { task_name: 'save' })).filter(
      ({ exemplar }) => exemplar,
    )
    expect(series?.exemplar).toMatchObject({ trace_id: spans.named('taskiq.save')[0]?.traceId })
    metrics.reset()
    expect(await metrics.value('taskiq_tasks_total')).toBeUndefined()
  })
})

describe('recordLogs', () => {
  it('parses the lines of telemetry and of log(), and waits for one by event', async () => {
    const logs = recordLogs()
    const broker = fakeBroker(telemetry({ logger: logs.logger, metrics: false }))
    broker.consume('orders', () => log().info({ rows: 3 }, 'saved'))
    const ended = logs.waitFor('task.succeeded')
    broker.send('orders', { name: 'save' })
    expect(await ended).toMatchObject({ level: 'info', task_name: 'save', outcome: 'success' })
    await broker.settled(1)
    expect(logs.lines.map((line) => line.message)).toEqual(['task.started', 'saved', 'task.succeeded'])
    expect(logs.named('saved')).toMatchObject([{ rows: 3, trace_id: spans.one('taskiq.save').traceId }])
    await expect(logs.waitFor('gone', 1, { timeoutMs: 5 })).rejects.toThrow(/task.started, saved, task.succeeded/)
  })

  it('takes the lines of a pino with an envelope of its own', () => {
    const logs = recordLogs()
    pino({ mixin }, logs.destination).warn({ a: 1 }, 'mine')
    expect(logs.lines).toMatchObject([{ message: 'mine', msg: 'mine', level: 40, a: 1 }])
    logs.reset()
    expect(logs.lines).toEqual([])
  })
})

describe('fakeBroker', () => {
  it('carries the trace from a send to its task', async () => {
    const broker = fakeBroker(telemetry({ metrics: false, logging: false }))
    broker.consume('orders', () => {})
    inSpan('request', () => broker.send('orders', { name: 'save' }))
    await broker.settled(1)
    expect(spans.outline()).toBe('request\n  send orders\n    taskiq.save')
    expect(spans.one('taskiq.save').attributes).toMatchObject({
      'messaging.system': 'memory',
      'messaging.destination.name': 'orders',
    })
  })

  it('redelivers while attempts are left, and records how each delivery was settled', async () => {
    const broker = fakeBroker(telemetry({ metrics: false, logging: false }))
    const error = new Error('again')
    broker.consume('orders', ({ attempt }) => {
      if (attempt < 3) throw error
      return 'done'
    })
    broker.send('orders', { name: 'flaky', attempts: 3 })
    broker.send('orders', { name: 'hopeless', attempts: 2 })
    const settled = await broker.settled(5)
    const of = (name: string) =>
      settled.filter(({ message }) => message.name === name).map(({ settled, outcome }) => `${settled} ${outcome}`)
    expect(of('flaky')).toEqual(['requeue retry', 'requeue retry', 'ack success'])
    expect(of('hopeless')).toEqual(['requeue retry', 'nack failure'])
    expect(settled[0]?.error).toBe(error)
  })

  it('keeps messages for a consumer that comes later, and takes hostile ones as they are', async () => {
    const broker = fakeBroker(telemetry({ metrics: false, logging: false }))
    broker.deliver('orders', { name: 'odd', headers: { traceparent: 'nonsense', baggage: Buffer.alloc(3) as never } })
    broker.consume('orders', () => {})
    expect(() => broker.consume('orders', () => {})).toThrow(/has a consumer already/)
    expect(await broker.settled(1)).toMatchObject([{ settled: 'ack' }])
    expect(spans.one('taskiq.odd').parentSpanId).toBeUndefined()
  })

  it('runs middleware of the user as every adapter does', async () => {
    const seen: string[] = []
    const mine: Middleware = async (task, next) => {
      seen.push(`${task.kind} ${task.name} before`)
      const result = await next()
      seen.push(`${task.kind} ${task.name} after ${broker.deliveries.length} settled`)
      return result
    }
    const broker = fakeBroker(mine)
    broker.consume('orders', () => {})
    broker.send('orders', { name: 'save' })
    await broker.settled(1)
    expect(seen).toEqual([
      'send save before',
      'send save after 0 settled',
      'task save before',
      'task save after 0 settled',
    ])
  })
})

describe('replay', () => {
  const job = {
    name: 'render_clip',
    data: { clip: 7 },
    opts: { attempts: 3, telemetry: { metadata: `{"traceparent":"00-${'a'.repeat(32)}-${'b'.repeat(16)}-01"}` } },
    id: '42',
    attemptsMade: 1,
    attemptsStarted: 2,
    stalledCounter: 0,
    timestamp: 1_700_000_000_000,
    processedOn: 1_700_000_000_500,
    queueQualifiedName: 'bull:render',
  }

  it('runs a recorded BullMQ job and returns its result, spans, metrics and lines', async () => {
    const played = await replay(
      job,
      async (given: Job<{ clip: number }>) => {
        await given.updateProgress(50)
        log().info('rendering')
        return given.data.clip + Number(given.progress)
      },
      { through: bullmq },
    )
    expect(played).toMatchObject({ threw: false, result: 57 })
    expect(played.spans).toMatchObject([
      { name: 'taskiq.render_clip', traceId: 'a'.repeat(32), parentSpanId: 'b'.repeat(16) },
    ])
    expect(played.spans[0]?.attributes).toMatchObject({
      'taskiq.attempt': 2,
      'taskiq.max_attempts': 3,
      'messaging.destination.name': 'render',
      'messaging.message.id': '42',
    })
    expect(await played.metrics.value('taskiq_tasks_total', { queue: 'render', outcome: 'success' })).toBe(1)
    expect(played.logs.lines.map((line) => line.message)).toEqual(['task.started', 'rendering', 'task.succeeded'])
    expect(job.data).toEqual({ clip: 7 })
  })

  it('gives the very error that the handler threw', async () => {
    const error = new TypeError('no such clip')
    const played = await replay(job, async () => Promise.reject(error), { through: bullmq })
    expect(played.threw).toBe(true)
    expect(played.error).toBe(error)
    expect(played.spans).toMatchObject([{ status: 'error', attributes: { 'taskiq.outcome': 'retry' } }])
  })

  it('revives bytes and settles through an adapter of the user', async () => {
    interface Amqp {
      fields: { routingKey: string }
      content: Buffer
    }
    const settled: string[] = []
    const adapter: Adapter<Amqp> = {
      system: 'rabbitmq',
      read: ({ fields }) => ({ name: 'files:process', queue: fields.routingKey }),
      settle: (_message, { threw }) => void settled.push(threw ? 'nack' : 'ack'),
    }
    const recorded = { fields: { routingKey: 'files' }, properties: {}, content: { $base64: 'eyJhIjoxfQ==' } }
    const handler = (message: Amqp) => {
      throw new Error(`cannot save ${message.content.toString()}`)
    }
    const played = await replay(recorded, handler, { through: adapter })
    expect(played.error).toEqual(new Error('cannot save {"a":1}'))
    expect(settled).toEqual(['nack'])
  })

  it('takes telemetry of the user, and works where no recorder is registered', async () => {
    await spans.close()
    const played = await replay(job, async () => 'done', {
      through: bullmq,
      telemetry: ({ metrics }) => telemetry({ prefix: 'jobs', registry: metrics.registry, logging: false }),
    })
    expect(played.spans).toMatchObject([{ name: 'jobs.render_clip' }])
    expect(await played.metrics.value('jobs_tasks_total')).toBe(1)
    expect(trace.getTracer('after').startSpan('after').isRecording()).toBe(false)
  })

  it('refuses what is no message', async () => {
    await expect(replay(null, async () => {}, { through: bullmq })).rejects.toMatchObject({ code: 'INVALID_MESSAGE' })
    await expect(replay({}, async () => {}, {} as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
    await expect(replay({}, async () => {}, { through: 'bullmq' as never })).rejects.toThrow(/must be an adapter/)
  })
})
