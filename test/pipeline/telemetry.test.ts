// What a pipeline leaves behind: spans, links, events, metrics and lines, with the contract's names.
import { context, trace } from '@opentelemetry/api'
import { bind, log } from 'taskspan/logging'
import { pipeline } from 'taskspan/pipeline'
import { service } from 'taskspan/spans'
import { tracing } from 'taskspan/tracing'
import { describe, expect, it } from 'vitest'
import { record } from '../support/record.ts'
import { runner, turns } from '../support/run.ts'

const quick = { retries: 1, backoff: { initialMs: 1 } } as const

describe('the spans', () => {
  it('are one for the run and one per attempt inside it, inside the task', async () => {
    const { t, spans } = await record()
    const clips = pipeline('clips', t)
      .step('download', async () => 'clip')
      .step('flaky', ['download'], ({ attempt }) => attempt === 1 && Promise.reject(new Error('again')), quick)
      .step('join', ['download', 'flaky'], async () => {})
      .finally('clean_up', () => {})
    await runner(t)({}, () => clips.run())
    expect(spans.outline()).toBe(`taskiq.render
  clips.pipeline
    step.download
    step.flaky
    step.flaky
    step.join
    step.clean_up`)
    expect(spans.open).toEqual([])
  })

  it('of the run say its name, id, steps and critical path', async () => {
    const { t, spans } = await record()
    await pipeline('clips', t)
      .step('slow', () => turns(20))
      .step('fast', () => {})
      .step('join', ['slow', 'fast'], () => turns())
      .run(undefined, { id: 'r-1' })
    const { attributes, status, kind, events } = spans.one('clips.pipeline')
    expect({ status, kind }).toEqual({ status: 'unset', kind: 'internal' })
    expect(attributes).toEqual({
      'taskiq.pipeline.name': 'clips',
      'taskiq.pipeline.run_id': 'r-1',
      'taskiq.pipeline.steps': 3,
      'taskiq.pipeline.outcome': 'success',
      'taskiq.outcome': 'success',
      'taskiq.pipeline.critical_path': 'slow > join',
      'taskiq.pipeline.critical_path_ms': expect.any(Number),
    })
    expect(events.map(({ name }) => name)).toEqual(['taskiq.pipeline.analysis'])
    expect(events[0]?.attributes).toEqual({
      'taskiq.pipeline.analysis.steps': ['slow', 'fast', 'join'],
      'taskiq.pipeline.analysis.durations_ms': Array(3).fill(expect.any(Number)),
      'taskiq.pipeline.analysis.waits_ms': Array(3).fill(expect.any(Number)),
      'taskiq.pipeline.analysis.slacks_ms': [0, expect.any(Number), 0],
    })
  })

  it('of a step say its run, attempt, needs and wait, and are linked to the spans of its needs', async () => {
    const { t, spans } = await record()
    await pipeline('clips', t)
      .step('one', () => {})
      .step('two', () => {})
      .step('join', ['one', 'two'], () => {})
      .run(undefined, { id: 'r-1' })
    const join = spans.one('step.join')
    expect(join.attributes).toEqual({
      'taskiq.pipeline.name': 'clips',
      'taskiq.pipeline.run_id': 'r-1',
      'taskiq.step.id': 'join',
      'taskiq.step.attempt': 1,
      'taskiq.step.needs': ['one', 'two'],
      'taskiq.step.wait_ms': expect.any(Number),
      'taskiq.step.outcome': 'success',
      'taskiq.outcome': 'success',
    })
    expect(join.links.map(({ spanId }) => spanId)).toEqual(['one', 'two'].map((id) => spans.one(`step.${id}`).spanId))
    expect(spans.one('step.one').links).toEqual([])
  })

  it('wait for a place is what a step waited', async () => {
    const { t, spans } = await record()
    await pipeline('clips', t)
      .options({ concurrency: 1 })
      .step('first', () => turns(50))
      .step('second', () => {})
      .run()
    const { durationMs } = spans.one('step.first')
    expect(spans.one('step.second').attributes['taskiq.step.wait_ms']).toBeGreaterThanOrEqual(durationMs - 1)
  })

  it('are linked to the last attempt of a need', async () => {
    const { t, spans } = await record()
    await pipeline('clips', t)
      .step('flaky', ({ attempt }) => attempt === 1 && Promise.reject(new Error('again')), quick)
      .step('after', ['flaky'], () => {})
      .run()
    const [, second] = spans.named('step.flaky')
    expect(spans.one('step.after').links.map(({ spanId }) => spanId)).toEqual([second?.spanId])
  })

  it('have 32 links and 64 needs at most, and stay small for 10,000 steps', async () => {
    const { spans } = await record()
    const many = Array.from({ length: 200 }, (_, at) => ({ id: `s${at}`, run: () => {} }))
    await pipeline('wide', tracing())
      .steps(many)
      .steps([{ id: 'join', after: many.map(({ id }) => id), run: () => {} }])
      .run()
    const join = spans.one('step.join')
    expect(join.links).toHaveLength(32)
    expect(join.attributes['taskiq.step.needs']).toHaveLength(64)

    const chain = Array.from({ length: 10_000 }, (_, at) => ({
      id: `a_step_with_a_rather_long_id_${at}`,
      after: at === 0 ? [] : [`a_step_with_a_rather_long_id_${at - 1}`],
      run: () => {},
    }))
    await pipeline('long', tracing()).steps(chain).run()
    const { attributes, events } = spans.one('long.pipeline')
    expect(JSON.stringify([attributes, events]).length).toBeLessThan(65_536)
    expect(attributes['taskiq.pipeline.critical_path']).toMatch(/^a_step.+_0 > .+ > … \(\d+ more\)$/)
    expect(attributes['taskiq.truncated']).toBe(true)
    expect(events[0]?.attributes['taskiq.pipeline.analysis.steps']).toHaveLength(100)
  })

  it('of a large run tells of those with the least time to spare', async () => {
    const { spans } = await record()
    const slow = (at: number) => ({
      id: `slow_${at}`,
      after: at === 0 ? [] : [`slow_${at - 1}`],
      run: () => new Promise((resolve) => setTimeout(resolve, 100)),
    })
    const quick = Array.from({ length: 300 }, (_, at) => ({ id: `quick_${at}`, run: () => {} }))
    const run = pipeline('large', tracing())
      .steps([...quick, slow(0), slow(1)])
      .run()
    await run
    const { attributes = {} } = spans.one('large.pipeline').events[0] ?? {}
    const told = attributes['taskiq.pipeline.analysis.steps'] as string[]
    expect(told).toHaveLength(100)
    expect(told.slice(-2)).toEqual(['slow_0', 'slow_1'])
    expect((attributes['taskiq.pipeline.analysis.slacks_ms'] as number[]).slice(-2)).toEqual([0, 0])
    const slacksOf = (isTold: boolean) =>
      run.report().steps.flatMap(({ id, slackMs }) => (told.includes(id) === isTold ? [slackMs] : []))
    expect(Math.max(...slacksOf(true))).toBeLessThanOrEqual(Math.min(...slacksOf(false)))
  })

  it('made inside a step are its children, also after the step before has ended', async () => {
    const { t, spans } = await record()
    const tracer = trace.getTracer('user')
    const work = (name: string) => async () => {
      await turns()
      tracer.startSpan(name).end()
    }
    await pipeline('clips', t)
      .step('one', work('in one'))
      .step('two', ['one'], work('in two'))
      .step('three', ['one'], work('in three'))
      .run()
    for (const name of ['one', 'two', 'three']) expect(spans.one(`in ${name}`).parent?.name).toBe(`step.${name}`)
  })

  it('of calls in its steps are told to the task around it where the pipeline has no middleware', async () => {
    const { t, spans } = await record()
    const clips = pipeline('clips').step('look_up', () => service('users.look_up', { user_id: 'u-1' }, () => {}))
    await runner(t)({}, () => clips.run())
    expect(spans.outline()).toBe('taskiq.render\n  users.look_up')
  })

  it('of nested pipelines nest', async () => {
    const { t, spans } = await record()
    const inner = pipeline<number>('inner', t).step('work', async ({ input }) => input)
    await pipeline('outer', t)
      .step('calls', async () => inner.run(1))
      .run()
    expect(spans.outline()).toBe(`outer.pipeline
  step.calls
    inner.pipeline
      step.work`)
  })

  it('are in the trace of whatever span is active where there is no task', async () => {
    const { t, spans } = await record()
    const span = trace.getTracer('user').startSpan('request')
    await context.with(trace.setSpan(context.active(), span), () =>
      pipeline('clips', t)
        .step('only', () => {})
        .run(),
    )
    span.end()
    expect(spans.one('clips.pipeline').parent?.name).toBe('request')
  })
})

describe('the outcome', () => {
  const boom = new Error('boom')
  const clips = pipeline<AbortController>('clips')
  const outcome = 'taskiq.step.outcome'

  it.each([
    ['success', 'unset', {}, () => {}],
    ['failure', 'error', {}, () => Promise.reject(boom)],
    ['timeout', 'error', { timeoutMs: 10 }, () => new Promise(() => {})],
    ['skipped', 'unset', { skip: () => 'not today' }, () => {}],
  ] as const)('%s of a step has status %s', async (word, status, options, run) => {
    const { t, spans, metrics, logs } = await record()
    const settled = pipeline('clips', t).step('only', run, options).run()
    await settled.catch(() => {})
    const span = spans.one('step.only')
    expect(span.attributes[outcome]).toBe(word)
    expect(span.status).toBe(status)
    expect(await metrics.value('taskiq_steps_total', { pipeline: 'clips', step: 'only', outcome: word })).toBe(1)
    expect(logs.lines.filter((line) => line.step === 'only' && line.outcome === word)).toHaveLength(1)
    expect(span.events.filter(({ name }) => name === 'exception')).toHaveLength(status === 'error' ? 1 : 0)
    expect(span.attributes['taskiq.step.skip_reason']).toBe(word === 'skipped' ? 'not today' : undefined)
  })

  it('retry of an attempt has status error, and of a run cut short there is no wrong word', async () => {
    const { t, spans } = await record()
    const caller = new AbortController()
    const run = pipeline('clips', t)
      .step('flaky', ({ attempt }) => attempt === 1 && Promise.reject(boom), quick)
      .step('cancelled', ['flaky'], async ({ signal }) => {
        caller.abort(boom)
        throw signal.reason
      })
      .run(undefined, { signal: caller.signal })
    await expect(run).rejects.toThrow()
    const found = ['step.flaky', 'step.cancelled'].flatMap((name) => spans.named(name))
    expect(found.map(({ attributes, status }) => [attributes[outcome], status])).toEqual([
      ['retry', 'error'],
      ['success', 'unset'],
      ['cancelled', 'unset'],
    ])
    const { attributes, status } = spans.one('clips.pipeline')
    expect([attributes['taskiq.pipeline.outcome'], status]).toEqual(['cancelled', 'unset'])
    expect(run.report().outcome).toBe('cancelled')
  })

  it('failure of a run has status error and its error once', async () => {
    const { t, spans } = await record()
    const run = pipeline('clips', t)
      .step('fails', () => Promise.reject(boom))
      .run()
    await expect(run).rejects.toThrow()
    const { attributes, status, events } = spans.one('clips.pipeline')
    expect([attributes['taskiq.pipeline.outcome'], attributes['error.type'], status]).toEqual([
      'failure',
      'PipelineError',
      'error',
    ])
    expect(events.map(({ name }) => name).sort()).toEqual(['exception', 'taskiq.pipeline.analysis'])
  })

  it('of a refused step is failure: only messages are rejected', async () => {
    const { t, spans } = await record()
    const { reject } = await import('taskspan')
    await runner(t)({}, () =>
      clips.step('refuses', () => Promise.reject(reject('malformed'))).run(new AbortController()),
    ).catch(() => {})
    expect(spans.one('taskiq.render').attributes['taskiq.outcome']).toBe('rejected')
  })
})

describe('the metrics', () => {
  it('count and time runs and steps', async () => {
    const { t, metrics } = await record()
    const clips = pipeline<boolean>('clips', t)
      .step('one', () => turns())
      .step('two', ['one'], ({ input }) => (input ? Promise.reject(new Error('boom')) : 5))
    await clips.run(false)
    await expect(clips.run(true)).rejects.toThrow()
    const labels = { pipeline: 'clips' }
    expect(await metrics.value('taskiq_pipelines_total', { ...labels, outcome: 'success' })).toBe(1)
    expect(await metrics.value('taskiq_pipelines_total', { ...labels, outcome: 'failure' })).toBe(1)
    expect(await metrics.value('taskiq_pipeline_duration_seconds_count', { ...labels, result: 'ok' })).toBe(1)
    expect(await metrics.value('taskiq_pipeline_duration_seconds_count', { ...labels, result: 'error' })).toBe(1)
    expect(await metrics.value('taskiq_pipeline_critical_path_seconds_count', { ...labels, result: 'ok' })).toBe(1)
    expect(await metrics.value('taskiq_pipeline_critical_path_seconds_sum', labels)).toBeGreaterThan(0)
    expect(await metrics.value('taskiq_steps_total', { ...labels, step: 'one', outcome: 'success' })).toBe(2)
    expect(await metrics.value('taskiq_steps_total', { ...labels, step: 'two', outcome: 'failure' })).toBe(1)
    expect(await metrics.value('taskiq_step_duration_seconds_count', { ...labels, step: 'two', result: 'error' })).toBe(
      1,
    )
  })
})

describe('the lines', () => {
  it('carry run, step and attempt, also those that a step writes, and those of log()', async () => {
    const { t, logs, spans } = await record()
    await pipeline('clips', t)
      .step('only', async (step) => {
        step.log.info({ frames: 5 }, 'by the step')
        await turns()
        log().info('by log()')
      })
      .run(undefined, { id: 'r-1' })
    const { traceId, spanId } = spans.one('step.only')
    const fields = { pipeline: 'clips', run_id: 'r-1', step: 'only', trace_id: traceId, span_id: spanId }
    expect(logs.named('by the step')).toMatchObject([{ ...fields, frames: 5, attempt: 1 }])
    expect(logs.named('by log()')).toMatchObject([fields])
    expect(logs.named('step.started')).toMatchObject([fields])
    expect(logs.named('step.succeeded')).toMatchObject([{ ...fields, duration_ms: expect.any(Number) }])
    expect(logs.named('pipeline.started')).toMatchObject([{ pipeline: 'clips', run_id: 'r-1' }])
    expect(logs.named('pipeline.succeeded')).toMatchObject([{ pipeline: 'clips', run_id: 'r-1', outcome: 'success' }])
    expect(logs.named('pipeline.analysis')).toMatchObject([{ level: 'debug', steps: ['only'] }])
  })

  it('of a step go to the logger of the task around it where the pipeline has no middleware', async () => {
    const { t, logs } = await record()
    const bare = pipeline('bare').step('only', ({ log }) => log.warn('still heard'))
    await runner(t)({}, () => bare.run())
    expect(logs.named('still heard')).toMatchObject([{ task_name: 'render', step: 'only' }])
  })
})

describe('correlation', () => {
  it('stands on the run and all its steps, in nested pipelines and on their lines', async () => {
    const { t, spans, logs } = await record({ correlation: ['request_id'] })
    const inner = pipeline('inner', t).step('deep', async ({ log }) => log.info('deep down'))
    const outer = pipeline('outer', t)
      .step('first', () => turns())
      .step('calls', ['first'], async () => inner.run())
    await bind({ request_id: 'q-1' }, () => outer.run())
    for (const span of spans.spans) expect([span.name, span.attributes.request_id]).toEqual([span.name, 'q-1'])
    expect(logs.lines).not.toEqual([])
    for (const line of logs.lines) expect(line.request_id).toBe('q-1')
  })

  it('that comes with the message reaches the steps', async () => {
    const { t, spans } = await record({ correlation: ['request_id'] })
    const carrier = { baggage: 'request_id=q-2' }
    const clips = pipeline('clips', t).step('only', () => {})
    await runner(t)({ carrier }, () => clips.run())
    expect(spans.one('step.only').attributes.request_id).toBe('q-2')
  })

  it('that a step binds stays in it', async () => {
    const { t, spans } = await record({ correlation: ['request_id'] })
    const inner = pipeline('inner', t).step('work', () => {})
    await pipeline('outer', t)
      .step('binds', async () => bind({ request_id: 'q-3' }, () => inner.run()))
      .step('other', ['binds'], () => {})
      .run()
    expect(spans.one('step.work').attributes.request_id).toBe('q-3')
    expect(spans.one('step.other').attributes.request_id).toBeUndefined()
  })
})

describe('telemetry that breaks', () => {
  it('changes nothing for the steps, and leaves no one waiting', async () => {
    const { t, faults } = await record()
    const span = trace.getTracer('broken').startSpan('stolen')
    const broken = new Proxy(span, {
      get: (_, key) => {
        if (key === 'spanContext' || key === 'isRecording') return () => span.spanContext()
        throw new Error('broken span')
      },
    })
    trace.disable()
    trace.setGlobalTracerProvider({ getTracer: () => ({ startSpan: () => broken }) as never })
    const outputs = await pipeline('clips', t)
      .step('one', () => 1)
      .step('two', ['one'], ({ one }) => one + 1)
      .run()
    expect(outputs).toEqual({ two: 2 })
    expect(await faults()).toBeGreaterThan(0)
  })

  it('in spanContext() costs the links alone', async () => {
    const { t, spans } = await record()
    const real = trace.getTracer('x')
    trace.disable()
    trace.setGlobalTracerProvider({
      getTracer: () =>
        ({
          startSpan: (...args: Parameters<typeof real.startSpan>) =>
            args[0] === 'step.one'
              ? Object.assign(real.startSpan(...args), {
                  spanContext: () => {
                    throw new Error('no context')
                  },
                })
              : real.startSpan(...args),
        }) as never,
    })
    const outputs = await pipeline('clips', t)
      .step('one', () => 1)
      .step('other', () => 1)
      .step('two', ['one', 'other'], ({ one, other }) => one + other)
      .run()
    expect(outputs).toEqual({ two: 2 })
    expect(spans.one('step.two').links).toMatchObject([{ spanId: spans.one('step.other').spanId }])
  })
})
