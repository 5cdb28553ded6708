// Spans made by hand: their names and kinds, what stands on them, and that the call does not feel them.
import { context, SpanKind, trace } from '@opentelemetry/api'
import { compose, currentTask, type Middleware, type Task } from 'taskspan'
import { bind, log } from 'taskspan/logging'
import { pipeline } from 'taskspan/pipeline'
import { ext, service, sse, usage } from 'taskspan/spans'
import { telemetry } from 'taskspan/telemetry'
import { fakeBroker, recordMetrics } from 'taskspan/testing'
import { tracing } from 'taskspan/tracing'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { record } from './support/record.ts'
import { gate, turns } from './support/run.ts'

const id = { user_id: 'u-1' }
const boom = new Error('boom')

/** Runs `fn` as a task of this telemetry; gives what it returns, or throws what it throws. */
async function inTask<T>(
  middleware: Middleware,
  fn: (task: Task | undefined) => T,
  signal?: AbortSignal,
): Promise<Awaited<T>> {
  const broker = fakeBroker(middleware)
  let result: Promise<T> | undefined
  broker.consume('clips', () => (result = (async () => await fn(currentTask()))() as Promise<T>), signal)
  broker.deliver('clips', { name: 'render_clip' })
  await broker.settled(1)
  return (await result) as Awaited<T>
}

describe('the span', () => {
  it('has the name and kind of its category, below the span of the task', async () => {
    const { t, spans } = await record()
    await inTask(t, async () => {
      await service('credits.reserve', id, async () => {
        await ext('whisper', 'transcribe', { clip_file_uuid: 'c-1' }, async () => {})
      })
      sse('publish', { channel: 'renders' }, () => {})
    })
    expect(spans.outline()).toBe('taskiq.render_clip\n  credits.reserve\n    ext.whisper.transcribe\n  sse.publish')
    expect(spans.one('credits.reserve')).toMatchObject({ kind: 'internal', attributes: id, status: 'unset' })
    expect(spans.one('ext.whisper.transcribe')).toMatchObject({ kind: 'client', attributes: { clip_file_uuid: 'c-1' } })
    expect(spans.one('sse.publish')).toMatchObject({ kind: 'producer', attributes: { channel: 'renders' } })
    expect(SpanKind.PRODUCER).toBe(3)
  })

  it('is given to the function, for what is known only at the end', async () => {
    const { t, spans } = await record()
    await inTask(t, () =>
      service('credits.reserve', id, async (span) => {
        expect(span).toBe(trace.getActiveSpan())
        await null
        span.setAttributes({ reserved: 5, entitlements_drained: true })
      }),
    )
    expect(spans.one('credits.reserve').attributes).toMatchObject({ reserved: 5, entitlements_drained: true })
  })

  it('carries the correlation keys of the task and of what bound them', async () => {
    const { t, spans } = await record({ correlation: ['request_id', 'user_id'], correlate: () => ({ project: 'p-1' }) })
    await inTask(t, () => bind({ request_id: 'r-1' }, () => service('credits.reserve', { id: 7 }, () => {})))
    await bind({ request_id: 'r-2' }, () => ext('whisper', 'transcribe', { id: 7 }, () => {}))
    expect(spans.one('credits.reserve').attributes).toMatchObject({ request_id: 'r-1', project: 'p-1' })
    expect(spans.one('ext.whisper.transcribe').attributes).toMatchObject({ request_id: 'r-2' })
  })

  it('carries the run id of the pipeline around it, also from a step and from a call inside a call', async () => {
    const { t, spans } = await record()
    const analysis = pipeline<object>('analysis', t).step('download', () =>
      service('files.fetch', id, () => ext('s3', 'get', id, () => 5)),
    )
    await inTask(t, () => analysis.run({}, { id: 'run-1' }))
    expect(spans.one('files.fetch').parent?.name).toBe('step.download')
    expect(spans.one('files.fetch').attributes['taskiq.pipeline.run_id']).toBe('run-1')
    expect(spans.one('ext.s3.get').attributes['taskiq.pipeline.run_id']).toBe('run-1')
  })

  it('follows the prefix of the telemetry around it', async () => {
    const { t, spans } = await record({ prefix: 'jobs' })
    const analysis = pipeline<object>('analysis', t).step('download', () => service('files.fetch', id, () => 5))
    await analysis.run({}, { id: 'run-1' })
    expect(spans.one('files.fetch').attributes).toMatchObject({
      'jobs.pipeline.run_id': 'run-1',
      'jobs.outcome': 'success',
    })
  })

  it('has status ERROR, the outcome and one exception when the call fails', async () => {
    const { t, spans } = await record()
    const error = new RangeError('too few')
    await expect(inTask(t, () => service('credits.reserve', id, () => Promise.reject(error)))).rejects.toBe(error)
    const span = spans.one('credits.reserve')
    expect(span).toMatchObject({ status: 'error', statusMessage: 'too few' })
    expect(span.attributes).toMatchObject({ 'taskiq.outcome': 'failure', 'error.type': 'RangeError' })
    expect(span.events.map(({ name }) => name)).toEqual(['exception'])
  })

  it('is not an error when the call ended because the task was cancelled', async () => {
    const { t, spans, logs } = await record()
    const controller = new AbortController()
    const aborted = inTask(
      t,
      () =>
        ext('whisper', 'transcribe', id, async () => {
          controller.abort()
          throw new Error('stopped')
        }),
      controller.signal,
    )
    await expect(aborted).rejects.toThrow('stopped')
    expect(spans.one('ext.whisper.transcribe')).toMatchObject({
      status: 'unset',
      attributes: { 'taskiq.outcome': 'cancelled' },
    })
    expect(logs.named('ext.failed')).toEqual([])
  })

  it('stays under 64 KiB whatever attributes it is given', async () => {
    const { t, spans } = await record()
    const huge = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`key_${n}`, 'x'.repeat(10_000)]))
    await inTask(t, () => service('credits.reserve', { id: 1, ...huge }, () => {}))
    const { attributes } = spans.one('credits.reserve')
    expect(JSON.stringify(attributes).length).toBeLessThan(64 * 1024)
    expect(attributes).toMatchObject({ id: 1, 'taskiq.truncated': true })
  })

  it('leaves the current task as it is, so that code inside still finds it', async () => {
    const { t } = await record()
    const [outside, inside] = await inTask(t, (task) => [task, ext('whisper', 'transcribe', id, () => currentTask())])
    expect(inside).toBe(outside)
    expect(inside?.name).toBe('render_clip')
  })

  it('is the parent of messages sent inside', async () => {
    const { t, spans } = await record()
    const broker = fakeBroker(t)
    service('orders.place', id, () => broker.send('mails', { name: 'send_mail' }))
    expect((await spans.waitFor('send mails')).parent?.name).toBe('orders.place')
  })
})

describe('the call', () => {
  it('gives the very result of a synchronous function, synchronously', async () => {
    const { t, spans } = await record()
    const result = { left: 3 }
    await inTask(t, () => {
      expect(service('credits.reserve', id, () => result)).toBe(result)
      expect(spans.open).toEqual(['taskiq.render_clip'])
    })
  })

  it('throws the very error of a synchronous function, synchronously', async () => {
    const { t, spans } = await record()
    for (const error of [new Error('no'), undefined, null, 'text', Object.freeze(new Error('frozen'))]) {
      let caught: unknown = 'nothing'
      await inTask(t, () => {
        try {
          service('credits.reserve', id, () => {
            throw error
          })
        } catch (thrown) {
          caught = thrown
        }
      })
      expect(caught).toBe(error)
    }
    expect(spans.open).toEqual([])
    expect(spans.named('credits.reserve').map(({ status }) => status)).toEqual(Array(5).fill('error'))
  })

  it.each([
    ['a rejection', () => Promise.reject(boom)],
    ['that of a promise with something put on it', () => Object.assign(Promise.reject(boom), { cancel() {} })],
  ])('leaves %s that nobody handles unhandled', async (_, reject) => {
    const { t } = await record()
    const seen = new Promise((resolve) => {
      const others = process.listeners('unhandledRejection')
      process.removeAllListeners('unhandledRejection')
      process.once('unhandledRejection', resolve)
      onTestFinished(() => {
        for (const listener of others) process.on('unhandledRejection', listener)
      })
    })
    await inTask(t, () => void service('credits.reserve', id, reject))
    expect(await seen).toBe(boom)
  })

  it("gives a client's own kind of promise back itself", async () => {
    const { t, spans } = await record()
    class Request<T> extends Promise<T> {
      cancel = () => 'cancelled'
    }
    const request = new Request<number>((resolve) => setImmediate(resolve, 5))
    await inTask(t, async () => {
      const given = ext('openai', 'chat', id, () => request)
      expect(given).toBe(request)
      expect(given.cancel()).toBe('cancelled')
      expect(spans.open).toContain('ext.openai.chat')
      expect(await given).toBe(5)
      expect(spans.open).not.toContain('ext.openai.chat')
    })
  })

  describe('around a class of promises with a then of its own, which may start the work or use up the answer', () => {
    let asked = 0
    // As OpenAI's client makes them: whoever asks reads the answer, and nobody can make one anew.
    class Answer extends Promise<unknown> {
      constructor(private readonly answer: () => Promise<unknown>) {
        super((resolve) => resolve(undefined))
        if (answer.length > 0) throw new TypeError('not by an executor')
      }
      // biome-ignore lint/suspicious/noThenProperty: that is what such a client does
      override then<A, B>(good?: ((value: unknown) => A) | null, bad?: ((error: unknown) => B) | null): Promise<never> {
        asked++
        return this.answer().then(good, bad) as Promise<never>
      }
    }
    beforeEach(() => {
      asked = 0
    })

    it.each([
      ['returns', () => Promise.resolve(5), { value: 5 }, 'unset'],
      ['rejects', () => Promise.reject(boom), { error: boom }, 'error'],
    ])('hears what its caller hears: it %s', async (_, answer, expected, status) => {
      const { t, spans, faults } = await record()
      await inTask(t, async () => {
        const answered = gate()
        const call = ext('openai', 'chat', id, () => new Answer(() => answered.opened.then(answer)))
        const heard = (async () => await call)().then(
          (value) => ({ value }),
          (error: unknown) => ({ error }),
        )
        await turns()
        expect(spans.open).toContain('ext.openai.chat')
        answered.open()
        expect(await heard).toEqual(expected)
        expect(Object.hasOwn(call, 'then')).toBe(false)
      })
      expect(asked).toBe(1)
      expect(spans.one('ext.openai.chat').status).toBe(status)
      expect(await faults()).toBe(0)
    })

    it('is timed once where it is asked twice at once', async () => {
      const { t, metrics } = await record()
      await inTask(t, async () => {
        const call = ext('openai', 'chat', id, () => new Answer(() => Promise.resolve(5)))
        expect(await Promise.all([call, call])).toEqual([5, 5])
      })
      expect(await metrics.value('taskiq_ext_duration_seconds_count', { operation: 'chat' })).toBe(1)
    })

    it('has ended well when what its caller does with the answer fails', async () => {
      const { t, spans, metrics, logs } = await record()
      class Chained extends Promise<unknown> {
        static override get [Symbol.species]() {
          return Promise
        }
        // biome-ignore lint/suspicious/noThenProperty: that is what such a client does
        override then<A, B>(
          good?: ((value: unknown) => A) | null,
          bad?: ((error: unknown) => B) | null,
        ): Promise<never> {
          return super.then(good).catch(bad) as Promise<never>
        }
      }
      await inTask(t, async () => {
        const call = ext('openai', 'chat', id, () => new Chained((resolve) => resolve(5)))
        const fail = (): never => {
          throw boom
        }
        expect(await call.then(fail, (error) => error)).toBe(boom)
      })
      expect(spans.one('ext.openai.chat').status).toBe('unset')
      expect(await metrics.value('taskiq_ext_duration_seconds_count', { operation: 'chat' })).toBe(1)
      expect(logs.named('ext.failed')).toEqual([])
    })

    it('leaves it a then that stands on the promise itself', async () => {
      const { t } = await record()
      class Own extends Promise<unknown> {
        // biome-ignore lint/suspicious/noThenProperty: that is what such a client does
        override then = ((good: (value: unknown) => void) => good(++asked)) as never
      }
      const call = new Own(() => {})
      const own = Object.getOwnPropertyDescriptor(call, 'then')
      await inTask(t, async () => {
        expect(await ext('openai', 'chat', id, () => call)).toBe(1)
        expect(await call).toBe(2)
        const given = [ext('openai', 'chat', id, () => call)]
        await turns()
        expect(given[0]).toBe(call)
      })
      expect(Object.getOwnPropertyDescriptor(call, 'then')).toEqual(own)
    })

    it('asks nothing where its caller does not, and says that it has not waited', async () => {
      const { t, spans, faults } = await record()
      const call = new Answer(() => Promise.reject(boom))
      await inTask(t, async () => {
        const given = [ext('openai', 'chat', id, () => call)]
        expect(given[0]).toBe(call)
        await turns()
        expect(spans.open).not.toContain('ext.openai.chat')
      })
      expect(asked).toBe(0)
      expect(Object.hasOwn(call, 'then')).toBe(false)
      expect(await faults()).toBe(1)
    })

    it('is not harmed by one whose then throws', async () => {
      const { t, spans } = await record()
      const call = new Answer(() => {
        throw boom
      })
      await inTask(t, async () => {
        await expect(async () => await ext('openai', 'chat', id, () => call)).rejects.toBe(boom)
      })
      expect(spans.one('ext.openai.chat').status).toBe('error')
    })

    it('is not harmed by one that is frozen', async () => {
      const { t, spans, metrics, faults } = await record()
      const call = Object.freeze(new Answer(() => Promise.resolve(5)))
      await inTask(t, async () => expect(await ext('openai', 'chat', id, () => call)).toBe(5))
      await turns()
      expect(asked).toBe(1)
      expect(spans.open).toEqual([])
      expect(await metrics.value('taskiq_ext_duration_seconds_count', { operation: 'chat' })).toBe(1)
      expect(await faults()).toBe(1)
    })
  })

  it('keeps what was put on a promise', async () => {
    const { t, spans } = await record()
    await inTask(t, async () => {
      const run = service('clips.analyse', id, () =>
        pipeline('analysis')
          .step('one', () => 1)
          .run(),
      )
      expect(run.report().outcome).toBe('running')
      expect(spans.open).toContain('clips.analyse')
      expect(await run).toEqual({ one: 1 })
    })
    expect(spans.open).toEqual([])
  })

  it('does not start what starts when it is awaited', async () => {
    const { t } = await record()
    let started = 0
    // biome-ignore lint/suspicious/noThenProperty: that is what a query builder is
    const query = { then: (resolve: (value: number) => void) => resolve(++started) }
    const given = await inTask(t, () => [ext('db', 'select', id, () => query)])
    expect(given[0]).toBe(query)
    expect(started).toBe(0)
  })

  it('runs once and unharmed when everything around it throws', async () => {
    const { t, faults } = await record()
    const broken = trace.getTracerProvider()
    const getTracer = broken.getTracer
    broken.getTracer = () => {
      throw new Error('no tracer')
    }
    onTestFinished(() => {
      broken.getTracer = getTracer
    })
    trace.disable()
    trace.setGlobalTracerProvider(broken)
    let runs = 0
    const attributes = {
      user_id: 'u',
      get bad(): string {
        throw new Error('getter')
      },
    }
    expect(service('credits.reserve', attributes, () => ++runs)).toBe(1)
    expect(await ext('whisper', 'transcribe', id, async () => ++runs)).toBe(2)
    await inTask(t, () => expect(service('credits.reserve', id, () => ++runs)).toBe(3))
    expect(await faults()).toBeGreaterThan(0)
  })

  it('is no business of a middleware that may fail or repeat tasks', async () => {
    const { t, spans } = await record()
    const kinds: string[] = []
    const own: Middleware = async (task, next) => {
      kinds.push(task.kind)
      return next()
    }
    await inTask(compose(own, t), () => service('credits.reserve', id, () => {}))
    expect(kinds).toEqual(['task'])
    expect(spans.named('credits.reserve')).toHaveLength(1)
  })
})

describe('names outside the taxonomy', () => {
  it('are brought into it, and counted once each', async () => {
    const { t, spans, faults } = await record()
    const calls = () => {
      service('Credits.reserveAll' as never, id, () => {})
      service('reserve' as never, id, () => {})
      service('a.b.c' as never, id, () => {})
      service(undefined as never, id, () => {})
      ext('Open AI' as never, 'chat/completions' as never, id, () => {})
      ext('2captcha' as never, '__proto__' as never, id, () => {})
      sse('Clip Ready!' as never, {}, () => {})
    }
    await inTask(t, () => {
      calls()
      calls()
    })
    expect([...new Set(spans.spans.map(({ name }) => name))].sort()).toEqual([
      'a.b_c',
      'credits.reserve_all',
      'ext.captcha.proto',
      'ext.open_ai.chat_completions',
      'sse.clip_ready',
      'taskiq.render_clip',
      'unknown.reserve',
      'unknown.unknown',
    ])
    expect(await faults()).toBe(9)
  })
})

describe('metrics', () => {
  it('time services and calls to others by result, with the exemplar of their span', async () => {
    const { t, metrics, spans } = await record()
    await inTask(t, async () => {
      service('credits.reserve', id, () => {})
      await ext('whisper', 'transcribe', id, async () => {})
      await ext('whisper', 'transcribe', id, () => Promise.reject(new Error('no'))).catch(() => {})
    })
    const of = (name: string, labels: object) => metrics.value(name, labels as Record<string, string>)
    const ext_ = { service: 'whisper', operation: 'transcribe' }
    expect(await of('taskiq_service_duration_seconds_count', { operation: 'credits.reserve', result: 'ok' })).toBe(1)
    expect(await of('taskiq_ext_duration_seconds_count', { ...ext_, result: 'ok' })).toBe(1)
    expect(await of('taskiq_ext_duration_seconds_count', { ...ext_, result: 'error' })).toBe(1)
    const buckets = await metrics.series('taskiq_service_duration_seconds_bucket')
    expect(buckets.find(({ exemplar }) => exemplar !== undefined)?.exemplar).toEqual({
      trace_id: spans.one('credits.reserve').traceId,
      span_id: spans.one('credits.reserve').spanId,
    })
    expect(await of('taskiq_pipelines_total', {})).toBe(undefined)
  })

  it('add up what calls to others have used, also from a service inside and in bound code', async () => {
    const { t, metrics, faults } = await record()
    await inTask(t, async () => {
      await ext('llm', 'chat', id, async () => {
        usage({ input_tokens: 100, output_tokens: undefined })
        await null
        bind({ a: 1 }, () => service('billing.count', id, () => usage({ input_tokens: 20, gpu_seconds: 1.5 })))
        ext('gpu', 'rent', id, () => usage({ gpu_seconds: 4 }))
      })
    })
    const used = (labels: Record<string, string>) => metrics.value('taskiq_ext_usage_total', labels)
    expect(await used({ service: 'llm', operation: 'chat', unit: 'input_tokens' })).toBe(120)
    expect(await used({ service: 'llm', unit: 'gpu_seconds' })).toBe(1.5)
    expect(await used({ service: 'gpu', unit: 'gpu_seconds' })).toBe(4)
    expect(await used({ unit: 'output_tokens' })).toBe(undefined)
    expect(await faults()).toBe(0)
  })

  it('count usage outside of a call, amounts that are none, and more than 20 of them, as faults', async () => {
    const { t, metrics, faults } = await record()
    usage({ input_tokens: 5 })
    await inTask(t, () => {
      usage({ input_tokens: 5 })
      ext('llm', 'chat', id, () => usage({ input_tokens: Number.NaN, b: -1, c: 'x' as never, fine: 0 }))
      ext('llm', 'chat', id, () => usage(undefined as never))
      const many = Object.fromEntries(Array.from({ length: 25 }, (_, at) => [`unit_${at}`, undefined]))
      ext('llm', 'chat', id, () => usage(many))
    })
    expect(await metrics.series('taskiq_ext_usage_total')).toEqual([
      { labels: { service: 'llm', operation: 'chat', unit: 'fine' }, value: 0 },
    ])
    expect(await faults()).toBe(7)
  })
})

describe('log lines', () => {
  it('say that a call to others failed, joined to its span and its task', async () => {
    const { t, logs, spans } = await record()
    await inTask(t, () =>
      ext('whisper', 'transcribe', id, () => Promise.reject(new RangeError('redis://me:secret@host'))).catch(() => {}),
    )
    const { traceId, spanId } = spans.one('ext.whisper.transcribe')
    expect(logs.named('ext.failed')).toMatchObject([
      {
        ...{ level: 'warning', trace_id: traceId, span_id: spanId, task_name: 'render_clip', queue: 'clips' },
        ...{ ext: 'whisper', operation: 'transcribe', outcome: 'failure', duration_ms: expect.any(Number) },
        error: { type: 'RangeError', message: 'redis://***@host' },
      },
    ])
  })

  it('written inside carry the trace of the call and the fields of the task', async () => {
    const { t, logs, spans } = await record()
    await inTask(t, () => service('credits.reserve', id, () => log().info('inside')))
    expect(logs.named('inside')).toMatchObject([
      { task_name: 'render_clip', span_id: spans.one('credits.reserve').spanId },
    ])
    expect(logs.lines.map(({ message }) => message)).toEqual(['task.started', 'inside', 'task.succeeded'])
  })
})

describe('who sees a call', () => {
  it('is the telemetry of the task around it, not the last one that was made', async () => {
    const { t, metrics } = await record()
    const other = recordMetrics()
    telemetry({ registry: other.registry, logging: false })
    await inTask(t, () => ext('whisper', 'transcribe', id, () => usage({ seconds: 1 })))
    expect(await metrics.value('taskiq_ext_duration_seconds_count')).toBe(1)
    expect(await metrics.value('taskiq_ext_usage_total')).toBe(1)
    expect(await other.value('taskiq_ext_duration_seconds_count')).toBe(undefined)
  })

  it('is the telemetry of the task also inside a pipeline that has none', async () => {
    const { t, metrics } = await record()
    telemetry({ registry: recordMetrics().registry, logging: false })
    const plain = pipeline<object>('analysis').step('one', () => service('files.fetch', id, () => 5))
    await inTask(t, () => plain.run({}))
    expect(await metrics.value('taskiq_service_duration_seconds_count')).toBe(1)
  })

  it('is the last telemetry of the process outside of any task', async () => {
    const { spans } = await record()
    const last = recordMetrics()
    telemetry({ registry: last.registry, logging: false })
    expect(ext('whisper', 'transcribe', id, () => usage({ seconds: 2 }))).toBe(undefined)
    expect(await last.value('taskiq_ext_usage_total')).toBe(2)
    expect(spans.one('ext.whisper.transcribe').parent).toBe(undefined)
  })

  it('is what stands around the task, also where that is tracing alone', async () => {
    const { spans, metrics } = await record()
    await inTask(tracing(), () => service('credits.reserve', id, () => 5))
    expect(spans.outline()).toBe('taskiq.render_clip\n  credits.reserve')
    expect(await metrics.value('taskiq_service_duration_seconds_count')).toBe(undefined)
  })

  it('is nobody where tracing is off: the function then gets a span that records nothing', async () => {
    const { t, spans } = await record({ tracing: false })
    await inTask(t, () =>
      trace.getTracer('test').startActiveSpan('own', (own) => {
        service('credits.reserve', id, (span) => {
          expect(span).not.toBe(own)
          span.setAttribute('lost', true)
        })
        own.end()
      }),
    )
    expect(spans.outline()).toBe('own')
    expect(spans.one('own').attributes).toEqual({})
  })

  it('can be nobody at all: no SDK, no telemetry, no task', async () => {
    const { execFileSync } = await import('node:child_process')
    const code = `
      import { ext, service, usage } from './src/spans.ts'
      const left = service('credits.reserve', { user_id: 1 }, (span) => (span.setAttribute('a', 1), 7))
      const text = await ext('whisper', 'transcribe', { user_id: 1 }, async () => (usage({ seconds: 1 }), 'text'))
      console.log(left, text)`
    const run = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      encoding: 'utf8',
    })
    expect(run).toBe('7 text\n')
    expect(context.active()).toBeDefined()
  })
})
