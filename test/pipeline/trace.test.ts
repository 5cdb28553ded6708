// Graphs that another executor runs: the same spans, metrics and lines, and nothing changed for the executor.
import { PGraph } from 'p-graph'
import { pipeline, type TracedPipeline, tracePipeline, traceStep } from 'taskspan/pipeline'
import { describe, expect, it } from 'vitest'
import { record } from '../support/record.ts'
import { gate, runner, turns } from '../support/run.ts'

const nodes = {
  fetch: [],
  compile: ['fetch'],
  lint: ['fetch'],
  pack: ['compile', 'lint'],
} as const

function build(work: (id: string) => unknown = () => turns()): Promise<void> {
  const map = new Map(
    Object.entries(nodes).map(([id, needs]) => [id, { run: () => traceStep(id, needs, () => work(id)) }] as const),
  )
  return new PGraph(
    map,
    Object.entries(nodes).flatMap(([id, needs]) => needs.map((need) => [need, id] as [string, string])),
  ).run()
}

describe('p-graph', () => {
  it('gets the spans of a pipeline, linked by their needs, inside the task', async () => {
    const { t, spans, metrics, logs } = await record()
    await runner(t)({}, () => tracePipeline('build', t, () => build(), { id: 'r-1' }))
    expect(spans.outline()).toBe(`taskiq.render
  build.pipeline
    step.fetch
    step.compile
    step.lint
    step.pack`)
    const pack = spans.one('step.pack')
    expect(pack.attributes).toMatchObject({
      'taskiq.pipeline.name': 'build',
      'taskiq.pipeline.run_id': 'r-1',
      'taskiq.step.id': 'pack',
      'taskiq.step.attempt': 1,
      'taskiq.step.needs': ['compile', 'lint'],
      'taskiq.step.outcome': 'success',
    })
    expect(pack.links.map(({ spanId }) => spanId)).toEqual([
      spans.one('step.compile').spanId,
      spans.one('step.lint').spanId,
    ])
    expect(spans.one('build.pipeline').attributes).toMatchObject({
      'taskiq.pipeline.steps': 4,
      'taskiq.pipeline.outcome': 'success',
      'taskiq.pipeline.critical_path': expect.stringMatching(/^fetch > (compile|lint) > pack$/),
    })
    expect(spans.one('build.pipeline').events).toMatchObject([{ name: 'taskiq.pipeline.analysis' }])
    expect(await metrics.value('taskiq_steps_total', { pipeline: 'build', step: 'pack', outcome: 'success' })).toBe(1)
    expect(logs.named('step.succeeded')).toHaveLength(4)
    expect(logs.named('pipeline.succeeded')).toMatchObject([{ run_id: 'r-1' }])
  })

  it('fails as without us: its own error, the step and the run marked', async () => {
    const { t, spans } = await record()
    const boom = new Error('boom')
    const work = (id: string) => (id === 'lint' ? Promise.reject(boom) : turns())
    const plain = await new PGraph({ lint: { run: () => Promise.reject(boom) } }, [])
      .run()
      .catch((error: Error) => error)
    const traced = await tracePipeline('build', t, () => build(work)).catch((error: Error) => error)
    expect([traced?.constructor, traced?.message]).toEqual([plain?.constructor, plain?.message])
    expect(spans.one('step.lint')).toMatchObject({ status: 'error', attributes: { 'taskiq.step.outcome': 'failure' } })
    expect(spans.one('build.pipeline')).toMatchObject({ status: 'error' })
    await turns() // p-graph does not wait for the others
    expect(spans.open).toEqual([])
  })
})

describe('tracePipeline and traceStep', () => {
  it('pass results and errors through unchanged', async () => {
    const { t } = await record()
    const result = {}
    const boom = Object.freeze(new Error('boom'))
    expect(await tracePipeline('p', t, () => traceStep('a', () => result))).toBe(result)
    await expect(
      tracePipeline('p', [t], () =>
        traceStep('a', () => {
          throw boom
        }),
      ),
    ).rejects.toBe(boom)
  })

  it('tell attempts, retries, time-outs and skips apart', async () => {
    const { t, spans } = await record()
    await tracePipeline('p', t, async () => {
      const flaky = () =>
        traceStep('flaky', [], ({ attempt }) => attempt === 1 && Promise.reject(new Error()), { attempts: 2 })
      await flaky().catch(flaky)
      await traceStep('late', () => Promise.reject(new DOMException('too late', 'TimeoutError'))).catch(() => {})
      await traceStep('skipped', ['flaky'], ({ skip }) => skip('not today'))
    })
    const all = spans.spans.filter(({ name }) => name.startsWith('step.'))
    expect(
      all.map(({ name, attributes }) => [name, attributes['taskiq.step.attempt'], attributes['taskiq.step.outcome']]),
    ).toEqual([
      ['step.flaky', 1, 'retry'],
      ['step.flaky', 2, 'success'],
      ['step.late', 1, 'timeout'],
      ['step.skipped', 1, 'skipped'],
    ])
    expect(spans.one('step.skipped').attributes['taskiq.step.skip_reason']).toBe('not today')
  })

  it('keep the run where the executor has lost the async context', async () => {
    const { t, spans } = await record()
    const elsewhere = gate()
    let given: TracedPipeline | undefined
    const lost = elsewhere.opened.then(() => given?.step('lost', ({ log }) => log.info('found')))
    await tracePipeline('p', t, async (pipeline) => {
      given = pipeline
      elsewhere.open()
      await lost
      expect(pipeline.report()).toMatchObject({ outcome: 'running', steps: [{ id: 'lost', status: 'success' }] })
      expect(pipeline.toMermaid()).toContain('s0["lost<br/>success')
    })
    expect(spans.one('step.lost').parent?.name).toBe('p.pipeline')
  })

  it('are cancelled with the task around them, and so is a pipeline inside', async () => {
    const { t, spans } = await record()
    const closing = new AbortController()
    const waits = pipeline('inner', t).step('waits', ({ signal }) => {
      closing.abort()
      return Promise.reject(signal.reason)
    })
    const run = runner(t)(
      {},
      () => tracePipeline('outer', t, () => traceStep('calls', () => waits.run())),
      closing.signal,
    )
    await expect(run).rejects.toMatchObject({ code: 'PIPELINE_CANCELLED' })
    for (const name of ['outer.pipeline', 'inner.pipeline']) {
      expect(spans.one(name).attributes['taskiq.pipeline.outcome']).toBe('cancelled')
    }
  })

  it('nest: a traced pipeline inside a traced step', async () => {
    const { t, spans } = await record()
    await tracePipeline('outer', t, () =>
      traceStep('calls', () => tracePipeline('inner', t, () => traceStep('work', () => 5))),
    )
    expect(spans.outline()).toBe(`outer.pipeline
  step.calls
    inner.pipeline
      step.work`)
  })

  it('outside of a pipeline run the function, and are counted', async () => {
    const { faults } = await record()
    expect(await traceStep('alone', ({ attempt }) => attempt)).toBe(1)
    expect(await faults()).toBe(1)
  })

  it('cut ids of any length and kind', async () => {
    const { t, spans } = await record()
    await tracePipeline('@scope/a b', t, () => traceStep('x'.repeat(1_000), ['y'.repeat(1_000)], () => 5))
    expect(spans.one('@scope/a b.pipeline').children.map(({ name }) => name)).toEqual([`step.${'x'.repeat(128)}`])
  })

  it('are drawn under any name, which breaks nothing of the picture', async () => {
    const drawn = (name: string) => tracePipeline(name, [], (pipeline) => pipeline.toMermaid())
    expect(await drawn('build')).toMatch(/^---\ntitle: build\n---\nflowchart LR\n/)
    expect(await drawn('build: all\n---')).toMatch(/^---\ntitle: "build: all\\n---"\n---\nflowchart LR\n/)
  })
})

describe('what is no pipeline', () => {
  const work = () => 1
  it.each([
    [[7, [], work], 'it takes a name, middleware and a function, got 7 and a function'],
    [['build', [], 'work'], 'it takes a name, middleware and a function, got "build" and "work"'],
    [['build', undefined, work], 'a middleware must be a function, got undefined'],
    [['build', [], work, { runId: 'r-1' }], `unknown option 'runId' ("r-1"). Known: id, signal.`],
    [['build', [], work, { id: '' }], "'id' must be a string of 1 to 128 characters"],
  ])('%j is refused before anything runs', async (args, message) => {
    await expect(tracePipeline(...(args as unknown as Parameters<typeof tracePipeline>))).rejects.toThrow(message)
  })
})
