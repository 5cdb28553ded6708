// What is refused when a pipeline is defined or run, with the step and the path named; and how one looks.
import { pipeline } from 'taskspan/pipeline'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'

const run = () => {}
const named = (id: unknown) => () => pipeline('p').steps([{ id: id as string, run }])
const graph = (edges: Record<string, string[]>) => () =>
  pipeline('p').steps(Object.entries(edges).map(([id, after]) => ({ id, after, run })))

describe('an id', () => {
  it.each(['', 'A', '1a', 'a-b', 'a b', '_a', 'é', 'a'.repeat(65), '__proto__', 5, null, undefined])(
    '%s is refused, and named',
    (id) => {
      expect(named(id)).toThrow(`pipeline 'p': ${typeof id === 'string' ? JSON.stringify(id) : id} is not a step id.`)
    },
  )

  it.each(['input', 'signal', 'log', 'progress', 'attempt', 'outcome', 'error', 'then'])('%s is reserved', (id) => {
    expect(named(id)).toThrow(`'${id}' is a reserved id`)
  })

  it.each(['a', 'constructor', 'to_string', 'hasownproperty', 'a'.repeat(64)])('%s is fine', async (id) => {
    expect(await named(id)().run()).toEqual({ [id]: undefined })
  })

  it('that stands twice is refused, also across the ways of adding', () => {
    expect(graph({ a: [] })().finally('b', run).steps).toBeTypeOf('function')
    expect(() => graph({ a: [] })().steps([{ id: 'a', run }])).toThrow("the step 'a' stands twice")
    expect(() =>
      pipeline('p')
        .finally('b', run)
        .steps([{ id: 'b', run }]),
    ).toThrow("the step 'b' stands twice")
  })

  it('of the pipeline has the same form', () => {
    expect(() => pipeline('My Pipeline')).toThrow('pipeline: "My Pipeline" is not a name.')
  })
})

describe('a need', () => {
  it('that is unknown is named, with the step that names it', () => {
    expect(graph({ a: [], b: ['a', 'c'] })).toThrow(`'b' is after "c", and there is no such step.`)
  })

  it('that stands twice, or is no list, is refused', () => {
    expect(graph({ a: [], b: ['a', 'a'] })).toThrow("'b' is after 'a' twice")
    expect(() => pipeline('p').steps([{ id: 'a', after: 'b' as never, run }])).toThrow('which is not a list')
  })

  it('that runs at the end is refused', () => {
    expect(() =>
      pipeline('p')
        .finally('close', run)
        .steps([{ id: 'a', after: ['close'], run }]),
    ).toThrow("'a' is after 'close', which runs at the end")
  })

  it.each([
    [{ a: ['a'] }, 'a > a'],
    [{ a: ['c'], b: ['a'], c: ['b'] }, 'a > b > c > a'],
    [{ start: [], x: ['start', 'z'], y: ['x'], z: ['y', 'start'], end: ['z'] }, 'x > y > z > x'],
  ])('that makes a cycle is refused with its path: %j', (edges, path) => {
    const found = (() => {
      try {
        graph(edges as Record<string, string[]>)()
      } catch (error) {
        return String((error as Error).message)
      }
      return ''
    })()
    expect(found).toContain('the steps wait for each other: ')
    // The same ring may be told from any of its steps.
    const ring = found.replace(/^.*each other: (.*?)\..*$/, '$1').split(' > ')
    const wanted = path.split(' > ').slice(1)
    expect(ring[0]).toBe(ring.at(-1))
    const at = wanted.indexOf(String(ring[0]))
    expect(ring.slice(1)).toEqual([...wanted.slice(at + 1), ...wanted.slice(0, at + 1)])
  })

  it('that makes a cycle of 10,000 is refused without a stack overflow, its path cut', () => {
    const ring = Object.fromEntries(Array.from({ length: 10_000 }, (_, at) => [`s${at}`, [`s${(at + 1) % 10_000}`]]))
    expect(graph(ring)).toThrow(/wait for each other: (s\d+ > ){10}… \(9980 more\) > /)
  })

  it('wrong in one step of a list leaves the pipeline as it was', async () => {
    const base = graph({ a: [] })()
    expect(() =>
      base.steps([
        { id: 'b', run },
        { id: 'c', after: ['nowhere'], run },
      ]),
    ).toThrow('nowhere')
    expect(await base.steps([{ id: 'b', run }]).run()).toEqual({ a: undefined, b: undefined })
  })
})

describe('steps from data', () => {
  it.each([
    [null, 'steps() takes a list of steps, got null'],
    [5, 'steps() takes a list of steps, got 5'],
    [[null], 'steps()[0]: options must be an object, got null'],
    [
      [
        { id: 'a', run },
        { id: 'b', needs: ['a'], run },
      ],
      "steps()[1]: unknown option 'needs' (a). Known: id, after, run, options.",
    ],
  ])('%j are refused, with what is wrong of them', (steps, message) => {
    expect(() => pipeline('p').steps(steps as never)).toThrow(message)
  })
})

describe('a step', () => {
  it.each(['a', undefined, { a: true }])('after %j, which is no list, is refused as that', (after) => {
    const base = pipeline('p').step('a', run)
    expect(() => base.step('b', after as never, run as never)).toThrow(/'b' is after .*, which is not a list of ids/)
  })
})

describe('an option', () => {
  const step = (options: object) => () => pipeline('p').step('a', run, options as never)
  const at = (options: object) => () =>
    pipeline('p')
      .step('a', run)
      .run(undefined, options as never)

  it.each([
    [step({ timeout: 5 }), 'step "a": unknown option \'timeout\''],
    [step({ timeoutMs: 0 }), "'timeoutMs' must be a number of ms"],
    [step({ timeoutMs: 2 ** 31 }), "'timeoutMs' must be a number of ms"],
    [step({ retries: 1.5 }), "'retries' must be a whole number >= 0"],
    [step({ retries: -1 }), "'retries' must be a whole number >= 0"],
    [step({ backoff: { initial: 5 } }), "unknown option 'initial'"],
    [step({ backoff: { factor: 0 } }), "'factor' must be a number >= 1"],
    [step({ skip: 'always' }), "'skip' must be a function"],
    [() => pipeline('p').finally('a', run, { skip: () => 'x' } as never), "unknown option 'skip'"],
    [() => pipeline('p').options({ concurrency: 0 }), "'concurrency' must be a whole number >= 1"],
    [() => pipeline('p').options({ onFailure: 'ignore' as never }), "'onFailure' must be 'abort' or 'continue'"],
    [() => pipeline('p').input({ parse: run } as never), 'input() takes a Standard Schema'],
    [() => pipeline('p').step('a', 5 as never), "the step 'a' has no function, got 5"],
    [at({ id: '' }), "'id' must be a string of 1 to 128 characters"],
    [at({ signal: {} }), "'signal' must be an AbortSignal"],
    [at({ checkpoint: {} }), "'checkpoint' must have the functions load and save"],
    [at({ keep: ['b'] }), "'keep' names 'b', and there is no such step"],
    [at({ progress: 5 }), "'progress' must be a boolean or a function"],
    [at({ abort: true }), "run(): unknown option 'abort'"],
  ])('%#, wrong or unknown, is refused', (define, message) => {
    expect(define).toThrow(message)
  })

  it('is taken as it is: what is written over the same object later is for the next step', async () => {
    const options: { optional?: boolean } = { optional: true }
    const base = pipeline('p').step('lenient', () => Promise.reject(new Error('boom')), options)
    delete options.optional
    expect(await base.step('strict', () => 5, options).run()).toEqual({ lenient: undefined, strict: 5 })
  })

  it('is taken with all that is in it, also as it is', async () => {
    const backoff = { initialMs: 0, jitter: false }
    const flaky = pipeline('p').step('flaky', ({ attempt }) => attempt > 1 || Promise.reject(new Error('boom')), {
      retries: 1,
      backoff,
    })
    backoff.initialMs = 3_600_000
    expect(await flaky.run()).toEqual({ flaky: true })
  })

  it.each([
    ['is inherited', Object.create({ timeoutMs: 5 }) as object],
    [
      'a getter gives',
      new (class {
        get timeoutMs(): number {
          return 5
        }
      })(),
    ],
  ])('that %s counts', async (_, options) => {
    const hangs = pipeline('p').step('hangs', () => new Promise(() => {}), options)
    await expect(hangs.run()).rejects.toMatchObject({ cause: { code: 'STEP_TIMED_OUT' } })
  })

  it('of undefined is unset', async () => {
    await step({ timeoutMs: undefined, retries: undefined, skip: undefined })().run(undefined, {
      id: undefined,
    } as never)
  })
})

describe('an input schema', () => {
  const clips = pipeline('clips')
    .input(z.object({ size: z.coerce.number<string>(), user: z.object({ name: z.string() }) }))
    .step('use', ({ input }) => input.size + 1)

  it('gives the steps what it makes of the input', async () => {
    expect(await clips.run({ size: '5', user: { name: 'a' } })).toEqual({ use: 6 })
  })

  it('that refuses rejects the run with the issues and their paths, not the value', async () => {
    const run = clips.run({ size: 'x', user: { name: 5, password: 'hunter2' } } as never)
    await expect(run).rejects.toMatchObject({ code: 'INVALID_INPUT' })
    await expect(run).rejects.toThrow(/pipeline 'clips': size: .+; user\.name: .+/)
    await expect(run).rejects.not.toThrow(/hunter2/)
    expect(run.report()).toMatchObject({ outcome: 'failure', steps: [{ status: 'not_run' }] })
  })

  it('may be asynchronous, and of any library', async () => {
    const validate = async (value: unknown) =>
      typeof value === 'string'
        ? { value: value.length }
        : { issues: [{ message: 'no text', path: [{ key: 0 }, 'a'] }] }
    const schema = { '~standard': { version: 1, vendor: 'own', validate } } as const
    const own = pipeline('own')
      .input(schema)
      .step('use', ({ input }) => input)
    expect(await own.run('abc' as never)).toEqual({ use: 3 })
    await expect(own.run(5 as never)).rejects.toThrow("pipeline 'own': 0.a: no text.")
  })

  it('may say by any falsy issues that there are none, as the standard does', async () => {
    const validate = (value: unknown) => ({ value, issues: null as never })
    const own = pipeline('own')
      .input({ '~standard': { version: 1, vendor: 'own', validate } })
      .step('use', ({ input }) => input)
    expect(await own.run(5)).toEqual({ use: 5 })
  })
})

describe('the report', () => {
  it('says the states, the critical path and the slack', async () => {
    const turn = (count: number) => async () => {
      for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve))
    }
    const run = pipeline('clips')
      .step('slow', turn(30))
      .step('quick', turn(1))
      .step('join', ['slow', 'quick'], turn(2))
      .run(undefined, { id: 'r-1' })
    expect(run.report()).toMatchObject({
      outcome: 'running',
      completed: 0,
      steps: [{ status: 'running' }, {}, { status: 'waiting' }],
    })
    await run
    const report = run.report()
    expect(report).toMatchObject({ pipeline: 'clips', runId: 'r-1', outcome: 'success', completed: 3 })
    expect(report.criticalPath).toEqual(['slow', 'join'])
    const [slow, quick, join] = report.steps
    expect(report.criticalPathMs).toBeCloseTo(Number(slow?.durationMs) + Number(join?.durationMs), 1)
    expect([slow?.slackMs, join?.slackMs, slow?.critical, quick?.critical]).toEqual([0, 0, true, false])
    expect(quick?.slackMs).toBeCloseTo(Number(slow?.durationMs) - Number(quick?.durationMs), 1)
    expect(join?.after).toEqual(['slow', 'quick'])
  })
})

describe('the critical path', () => {
  it('goes past steps that were skipped', async () => {
    const work = () => new Promise((resolve) => setTimeout(resolve, 5))
    const run = pipeline('clips')
      .step('load', work)
      .step('skipped', ['load'], work, { skip: () => 'not today', optional: true })
      .step('join', ['skipped', 'load'], work)
      .run()
    await run
    expect(run.report().criticalPath).toEqual(['load', 'join'])
  })
})

describe('the picture', () => {
  const clips = pipeline('clips')
    .step('end', () => {}, { timeoutMs: 90_000, retries: 2, optional: true })
    .step('skips', ['end'], () => {}, { skip: () => 'a "quoted" <reason>' })
    .finally('close', ['end'], () => {})

  it('of a definition has every step, its options and its needs', () => {
    expect(clips.toMermaid()).toBe(`---
title: clips
---
flowchart LR
  s0["end<br/>optional, 2 retries, ≤ 90 s"]
  s1["skips"]
  s2(["close"])
  s0 --> s1
  s0 --> s2
`)
    expect(clips.toDot()).toBe(`digraph "clips" {
  rankdir=LR
  node [shape=box, style="rounded,filled", fillcolor=white]
  s0 [label="end\\noptional, 2 retries, ≤ 90 s"]
  s1 [label="skips"]
  s2 [label="close", peripheries=2]
  s0 -> s1
  s0 -> s2
}
`)
  })

  it('of a run has states, durations and the critical path, and nothing that breaks its syntax', async () => {
    const run = clips.run()
    await run
    const mermaid = run.toMermaid()
    expect(mermaid).toMatch(/s0\["end<br\/>success [\d.]+ ms"\]/)
    expect(mermaid).toContain('s1["skips<br/>skipped (a #34;quoted#34; #60;reason#62;)"]')
    expect(mermaid).toMatch(/s0 (==|--)> s2/)
    expect(mermaid).toContain('class s1 skipped')
    expect(run.toDot()).toContain('s1 [label="skips\\nskipped (a \\"quoted\\" <reason>)"')
  })
})
