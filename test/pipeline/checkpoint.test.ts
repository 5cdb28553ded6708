// Resuming, on a checkpoint in memory: what is kept, what is restored, and what is said when it cannot be.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { currentTask, type Middleware } from 'taskspan'
import { type Checkpoint, type Pipeline, type Progress, pipeline } from 'taskspan/pipeline'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { record } from '../support/record.ts'
import { gate, runner, turns } from '../support/run.ts'

interface Store extends Checkpoint {
  readonly runs: Map<string, Record<string, string>>
}

function store(): Store {
  const runs = new Map<string, Record<string, string>>()
  return {
    runs,
    load: async (run) => runs.get(run),
    save: async (run, step, text) => void runs.set(run, { ...runs.get(run), [step]: text }),
  }
}

const boom = new Error('boom')

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Four steps, the last of which fails until told otherwise; `ran` says what was run. */
function clips(...middleware: Parameters<typeof pipeline>[1][]) {
  const ran: string[] = []
  let fails = true
  const told = <T>(id: string, output: T): T => {
    ran.push(id)
    return output
  }
  const definition = pipeline<{ clip: number }>('clips', ...middleware)
    .step('download', ({ input }) => told('download', { path: `${input.clip}.mp4` }))
    .step('probe', ['download'], () => told('probe', undefined))
    .step('words', ['download'], ({ download }) => told('words', [download.path]))
    .step('join', ['probe', 'words'], ({ probe, words }) => {
      told('join', 0)
      if (fails) throw boom
      return { probe, words }
    })
  return { ran, definition, mend: () => (fails = false) }
}

const result = { join: { probe: undefined, words: ['7.mp4'] } }

/** Runs it to its failure, and gives what is left of it. */
async function interrupted(options: { id?: string } = {}) {
  const checkpoint = store()
  const first = clips()
  await expect(first.definition.run({ clip: 7 }, { checkpoint, ...options })).rejects.toThrow('boom')
  expect(first.ran).toEqual(['download', 'probe', 'words', 'join'])
  return checkpoint
}

describe('a second run', () => {
  it('does not repeat finished steps, and has their outputs', async () => {
    const checkpoint = await interrupted()
    const second = clips()
    second.mend()
    expect(await second.definition.run({ clip: 7 }, { checkpoint })).toEqual(result)
    expect(second.ran).toEqual(['join'])
  })

  it('after a whole run restores all of it', async () => {
    const checkpoint = await interrupted()
    const { definition, mend } = clips()
    mend()
    await definition.run({ clip: 7 }, { checkpoint })
    const third = clips()
    const run = third.definition.run({ clip: 7 }, { checkpoint, keep: true })
    expect(await run).toEqual({ download: { path: '7.mp4' }, probe: undefined, words: ['7.mp4'], ...result })
    expect(third.ran).toEqual([])
    expect(run.report().steps.map(({ status }) => status)).toEqual(Array(4).fill('restored'))
  })

  it('has spans of outcome restored, linked to those that did the work, and the id of the first', async () => {
    const { t, spans, metrics, logs } = await record()
    const checkpoint = store()
    const first = clips(t)
    await expect(first.definition.run({ clip: 7 }, { checkpoint })).rejects.toThrow()
    const worked = spans.one('step.download')
    const runId = spans.one('clips.pipeline').attributes['taskiq.pipeline.run_id']
    spans.reset()

    const second = clips(t)
    second.mend()
    await second.definition.run({ clip: 7 }, { checkpoint })
    const restored = spans.one('step.download')
    expect(restored.attributes['taskiq.step.outcome']).toBe('restored')
    expect(restored.status).toBe('unset')
    expect(restored.links).toMatchObject([{ traceId: worked.traceId, spanId: worked.spanId }])
    expect(spans.one('clips.pipeline').attributes['taskiq.pipeline.run_id']).toBe(runId)
    expect(spans.one('step.words').links).toHaveLength(2) // its own work, and the restored span of its need
    expect(await metrics.value('taskiq_steps_total', { step: 'download', outcome: 'restored' })).toBe(1)
    expect(logs.named('step.restored')).toHaveLength(3)
  })

  it('with an id of its own is another run', async () => {
    const checkpoint = await interrupted({ id: 'a' })
    const other = clips()
    other.mend()
    await other.definition.run({ clip: 7 }, { checkpoint, id: 'b' })
    expect(other.ran).toHaveLength(4)
    expect([...checkpoint.runs.keys()]).toEqual(['clips:a', 'clips:b'])
  })

  it('keeps optional failures and skips as they were, for what has seen them', async () => {
    const checkpoint = store()
    const ran: string[] = []
    const define = (fails: boolean) =>
      pipeline('lenient')
        .step('may_fail', (): number => ran.push('may_fail') && fail(), { optional: true })
        .step('skipped', () => ran.push('skipped'), {
          skip: () => ran.push('asked') > 0 && 'not today',
          optional: true,
        })
        .step('saw', ['may_fail', 'skipped'], (seen) => {
          ran.push('saw')
          return `${seen.may_fail} ${seen.skipped}`
        })
        .step('last', ['saw'], ({ saw }) => (fails ? fail() : saw))
    await expect(define(true).run(undefined, { checkpoint })).rejects.toThrow()
    expect(ran).toEqual(['may_fail', 'asked', 'saw'])
    const second = define(false).run(undefined, { checkpoint })
    expect(await second).toEqual({ last: 'undefined undefined' })
    expect(ran).toEqual(['may_fail', 'asked', 'saw'])
    expect(second.report().steps[1]).toMatchObject({ status: 'skipped', reason: 'not today' })
  })

  it('that has ended keeps nothing that it restored', async () => {
    const checkpoint = await interrupted()
    const { definition, mend } = clips()
    mend()
    let words: WeakRef<object> | undefined
    const run = definition
      .step('reads', ['words', 'join'], (restored) => {
        words = new WeakRef(restored.words)
      })
      .run({ clip: 7 }, { checkpoint })
    await run
    expect(run.report().steps.map(({ status }) => status)).toEqual([...Array(3).fill('restored'), 'success', 'success'])
    await turns()
    collect()
    expect(words?.deref()).toBeUndefined()
    expect(run.report().outcome).toBe('success')
  })

  it("asks the function again where a middleware's word stood for its output", async () => {
    const checkpoint = store()
    const ran: string[] = []
    let broken = true
    const lenient: Middleware = async (task, next) => {
      if (!broken || task.name === 'join') return next()
      if (task.name === 'cached') return 'from the cache'
      return next().catch(() => 'instead')
    }
    const told = (id: string) => () => {
      ran.push(id)
      return broken ? fail() : `${id} anew`
    }
    const steps = pipeline('stands_in', lenient)
      .step('cached', told('cached'))
      .step('fails', told('fails'))
      .step('join', ['cached', 'fails'], ({ cached, fails }) => (broken ? fail() : [cached, fails]))
    await steps.run(undefined, { checkpoint }).catch(() => {})
    broken = false
    expect(await steps.run(undefined, { checkpoint })).toEqual({ join: ['cached anew', 'fails anew'] })
    expect(ran).toEqual(['fails', 'cached', 'fails'])
  })

  it('asks the function again also where that returned after its time-out, and a word stood for it by then', async () => {
    const checkpoint = store()
    const [given, ended] = [gate(), gate()]
    let broken = true
    const lenient: Middleware = async (task, next) => {
      if (!broken || task.name !== 'slow') return next()
      return next().catch(async () => {
        given.open()
        await ended.opened
        await turns()
        return 'instead'
      })
    }
    const work = async () => {
      if (!broken) return 'in time'
      await given.opened
      ended.open()
      return 'too late'
    }
    const steps = pipeline('slow', lenient)
      .step('slow', work, { timeoutMs: 5 })
      .step('join', ['slow'], ({ slow }) => (broken ? fail() : slow))
    await steps.run(undefined, { checkpoint }).catch(() => {})
    expect(checkpoint.runs.size).toBe(0)
    broken = false
    expect(await steps.run(undefined, { checkpoint })).toEqual({ join: 'in time' })
  })

  it('of a pipeline nested in two steps keeps them apart', async () => {
    const checkpoint = store()
    const inner = pipeline<number>('inner').step('work', ({ input }) => input)
    const outer = pipeline('outer')
      .step('left', async () => inner.run(1, { checkpoint }))
      .step('right', async () => inner.run(2, { checkpoint }))
    await outer.run(undefined, { checkpoint })
    expect([...checkpoint.runs.keys()].sort()).toEqual(['outer', 'outer.left>inner', 'outer.right>inner'])
  })

  it('keeps them apart however deep they are nested', async () => {
    const checkpoint = store()
    const inner = pipeline<number>('inner').step('work', ({ input }) => input)
    const middle = pipeline<number>('middle').step('calls', ({ input }) => inner.run(input, { checkpoint }))
    const outer = pipeline('outer')
      .step('left', async () => middle.run(1))
      .step('right', async () => middle.run(2))
    await outer.run()
    const paths = ['outer.left>middle.calls>inner', 'outer.right>middle.calls>inner']
    expect([...checkpoint.runs.keys()].sort()).toEqual(paths)
  })

  it('runs final steps again', async () => {
    const checkpoint = store()
    let closed = 0
    const define = pipeline('finals')
      .step('work', () => 5)
      .finally('close', () => void closed++)
    await define.run(undefined, { checkpoint })
    await define.run(undefined, { checkpoint })
    expect(closed).toBe(2)
  })
})

function fail(): never {
  throw boom
}

describe('what no longer fits', () => {
  // Typed as one, so that a test may change any part of it.
  type Changed = Pipeline<{ clip: number }, { clip: number }, { download: { path: string } }>

  async function resumed(change: (t: Parameters<typeof pipeline>[1]) => Changed, input = { clip: 7 }) {
    const { t, logs, spans } = await record()
    const checkpoint = await interrupted()
    const run = change(t).run(input, { checkpoint })
    await run
    const stale = logs.named('pipeline.checkpoint_stale')
    const events = spans.one('clips.pipeline').events.map(({ name }) => name)
    return { statuses: Object.fromEntries(run.report().steps.map(({ id, status }) => [id, status])), stale, events }
  }

  const download = ({ input }: { input: { clip: number } }) => ({ path: `${input.clip}.mp4` })

  it('after another `after` is the step and all that need it', async () => {
    const { statuses, stale, events } = await resumed((t) =>
      pipeline<{ clip: number }>('clips', t)
        .step('download', download)
        .step('probe', ['download'], () => undefined)
        .step('words', ['download', 'probe'], () => 1)
        .step('join', ['probe', 'words'], () => 1),
    )
    expect(statuses).toEqual({ download: 'restored', probe: 'restored', words: 'success', join: 'success' })
    expect(stale).toMatchObject([{ level: 'warning', steps: ['words'], count: 1 }])
    expect(events).toContain('taskiq.pipeline.checkpoint_stale')
  })

  it('after another version of a step is the step and all that need it', async () => {
    const { statuses, stale } = await resumed((t) =>
      pipeline<{ clip: number }>('clips', t)
        .step('download', download, { version: 2 })
        .step('probe', ['download'], () => 1)
        .step('words', ['download'], () => 1)
        .step('join', ['probe', 'words'], () => 1),
    )
    expect(new Set(Object.values(statuses))).toEqual(new Set(['success']))
    expect(stale).toMatchObject([{ steps: ['download', 'probe', 'words'], count: 3 }])
  })

  it('is an optional failure and a skip, where the step is no longer optional, and may no longer be skipped', async () => {
    const { t, logs } = await record()
    const checkpoint = store()
    const before = pipeline('stricter')
      .step('failed', (): string => fail(), { optional: true })
      .step('skipped', () => 'done', { skip: () => 'not today', optional: true })
    await before.run(undefined, { checkpoint })
    const after = pipeline('stricter', t)
      .step('failed', () => 'done')
      .step('skipped', () => 'done', { optional: true })
    expect(await after.run(undefined, { checkpoint })).toEqual({ failed: 'done', skipped: 'done' })
    expect(logs.named('pipeline.checkpoint_stale')).toMatchObject([{ steps: ['failed', 'skipped'] }])
  })

  it('is not what a removed step has left, nor what a new one adds', async () => {
    const { statuses, stale } = await resumed((t) =>
      pipeline<{ clip: number }>('clips', t)
        .step('download', download)
        .step('new', ['download'], () => 1),
    )
    expect(statuses).toEqual({ download: 'restored', new: 'success' })
    expect(stale).toEqual([])
  })

  it('with another input is everything', async () => {
    const change = (t: Parameters<typeof pipeline>[1]) =>
      pipeline<{ clip: number }>('clips', t).step('download', download)
    const { statuses, stale } = await resumed(change, { clip: 8 })
    expect(statuses).toEqual({ download: 'success' })
    expect(stale).toMatchObject([{ steps: ['download'] }])
  })

  it.each([
    ['not JSON', '{'],
    ['null', 'null'],
    ['a number', 5 as unknown as string],
    ['of another version', '{"v":2}'],
    ['without what a record has', '{"v":1,"run":"r","status":"success"}'],
    ['of a status that is none', '{"v":1,"run":"r","print":"p","input":"i","status":"running"}'],
  ])('is a record that is %s: the step runs again, and it is said', async (_, text) => {
    const { t, logs } = await record()
    const checkpoint = await interrupted()
    const kept = checkpoint.runs.get('clips') as Record<string, string>
    kept.words = text
    const { definition, ran, mend } = clips(t)
    mend()
    expect(await definition.run({ clip: 7 }, { checkpoint })).toEqual(result)
    expect(ran).toEqual(['words', 'join'])
    expect(logs.named('pipeline.checkpoint_stale')).toMatchObject([{ steps: ['words'] }])
  })

  it('is the span of a record that is none: the step is restored, and linked to nothing', async () => {
    const { t, spans } = await record()
    const checkpoint = await interrupted()
    const kept = checkpoint.runs.get('clips') as Record<string, string>
    kept.download = kept.download?.replace(/^\{/, '{"trace":["not hexadecimal","nor this",1],') as string
    await clips(t)
      .definition.run({ clip: 7 }, { checkpoint })
      .catch(() => {})
    expect(spans.one('step.download')).toMatchObject({ attributes: { 'taskiq.step.outcome': 'restored' }, links: [] })
  })

  it('is an output whose need was not kept', async () => {
    const checkpoint = await interrupted()
    delete (checkpoint.runs.get('clips') as Record<string, string>).download
    const { definition, ran, mend } = clips()
    mend()
    await definition.run({ clip: 7 }, { checkpoint })
    expect(ran).toHaveLength(4)
  })
})

describe('an output that a checkpoint cannot keep', () => {
  const cycle: { self?: unknown } = {}
  cycle.self = cycle
  let deep: unknown = 'bottom'
  for (let at = 0; at < 100_000; at++) deep = [deep]

  it.each<[string, unknown, RegExp]>([
    ['a Map', { frames: new Map() }, /'frames' is a Map/],
    ['a Date', new Date(0), /it is a Date/],
    ['a class instance', new (class Clip {})(), /it is a Clip/],
    ['a function', { run: () => {} }, /'run' is a function/],
    ['a BigInt', 5n, /it is a bigint/],
    ['NaN', [Number.NaN], /'0' is NaN/],
    ['a hole', [undefined], /'0' is undefined in a list/],
    ['an object with toJSON()', { toJSON: () => 'short' }, /toJSON/],
    ['a cycle', cycle, /does not serialise/],
    ['too deep', deep, /does not serialise/],
    ['over 64 KiB', 'é'.repeat(32_768), /is 65538 bytes of JSON, over 65536/],
  ])('%s fails the step on the first run, by name', async (_, output, why) => {
    const run = pipeline('strict')
      .step('makes', () => output)
      .run(undefined, { checkpoint: store() })
    const error: Error & { step?: string; cause?: unknown } = await run.then(
      () => {
        throw new Error('it ran')
      },
      (thrown: Error) => thrown,
    )
    expect(error).toMatchObject({ code: 'PIPELINE_FAILED', step: 'makes', cause: { code: 'INVALID_OUTPUT' } })
    expect(error.message).toMatch(why)
  })

  it.each([
    ['64 KiB', 'a'.repeat(65_534)],
    ['nothing', undefined],
    ['nested plain values', { a: [1, 'é', null, true, { b: {} }], c: undefined }],
    ['no prototype', Object.assign(Object.create(null), { a: 1 })],
  ])('%s is kept, and comes back equal', async (_, output) => {
    const checkpoint = store()
    const define = pipeline('fits').step('makes', () => output as unknown)
    await define.run(undefined, { checkpoint })
    const { makes } = await define.run(undefined, { checkpoint })
    expect(makes).toEqual(output)
  })

  it('is no matter without a checkpoint', async () => {
    const { makes } = await pipeline('free')
      .step('makes', () => new Map([[1, 2]]))
      .run()
    expect(makes.get(1)).toBe(2)
  })
})

describe('a store that fails', () => {
  it.each<[string, Checkpoint['load']]>([
    ['rejects', () => Promise.reject(boom)],
    [
      'throws',
      () => {
        throw boom
      },
    ],
  ])('in load(), which %s: the run goes on from the start, and it is said', async (_, load) => {
    const { t, logs, spans, faults } = await record()
    const { definition, ran, mend } = clips(t)
    mend()
    expect(await definition.run({ clip: 7 }, { checkpoint: { ...store(), load } })).toEqual(result)
    expect(ran).toHaveLength(4)
    expect(logs.named('pipeline.checkpoint_failed')).toMatchObject([{ level: 'warning', error: { message: 'boom' } }])
    const [event] = spans.one('clips.pipeline').events
    expect(event).toMatchObject({ name: 'taskiq.pipeline.checkpoint_failed' })
    expect(await faults()).toBe(1)
  })

  it.each([null, undefined, 'text', 5])('in load(), which gives %s: nothing is restored', async (found) => {
    const { definition, ran, mend } = clips()
    mend()
    await definition.run({ clip: 7 }, { checkpoint: { ...store(), load: async () => found as never } })
    expect(ran).toHaveLength(4)
  })

  it('in save(): the run goes on, says it once, and counts each', async () => {
    const { t, logs, faults } = await record()
    const { definition, mend } = clips(t)
    mend()
    const checkpoint = { ...store(), save: () => Promise.reject(boom) }
    expect(await definition.run({ clip: 7 }, { checkpoint })).toEqual(result)
    expect(logs.named('pipeline.checkpoint_failed')).toMatchObject([{ steps: ['download'] }])
    expect(await faults()).toBe(4)
  })

  it('in one save(): what needs that step is not restored either', async () => {
    const checkpoint = store()
    const { save } = checkpoint
    const forgetful = {
      ...checkpoint,
      save: (...args: Parameters<typeof save>) => (args[1] === 'words' ? Promise.reject(boom) : save(...args)),
    }
    const first = clips()
    first.mend()
    await first.definition.run({ clip: 7 }, { checkpoint: forgetful })
    const second = clips()
    second.mend()
    await second.definition.run({ clip: 7 }, { checkpoint })
    expect(second.ran).toEqual(['words', 'join'])
  })

  it('is not touched for what it cannot change: a run waits for its saves', async () => {
    let saved = 0
    const checkpoint: Checkpoint = {
      load: async () => undefined,
      save: async () => {
        await new Promise((resolve) => setImmediate(resolve))
        saved++
      },
    }
    await expect(clips().definition.run({ clip: 7 }, { checkpoint })).rejects.toThrow()
    expect(saved).toBe(3)
  })
})

describe('a store that does not answer', () => {
  const never = () => new Promise<never>(() => {})

  it.each([
    ['load()', { load: never }],
    ['save()', { save: never }],
  ])('in %s is waited for five seconds, and it is said', async (call, broken) => {
    const { t, logs } = await record()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { definition, ran, mend } = clips(t)
    mend()
    const run = definition.run({ clip: 7 }, { checkpoint: { ...store(), ...broken } })
    await vi.advanceTimersByTimeAsync(4_999)
    expect(ran).toHaveLength(call === 'load()' ? 0 : 4)
    expect(run.report().outcome).not.toBe('failure')
    await vi.advanceTimersByTimeAsync(1)
    expect(await run).toEqual(result)
    const error = { message: `${call} did not settle within 5000 ms` }
    expect(logs.named('pipeline.checkpoint_failed')).toMatchObject([{ error }])
  })
})

describe('progress', () => {
  it('and what a checkpoint keeps are told outside of the steps: what they do is no part of one', async () => {
    const { t } = await record()
    const heard = new Set<unknown>()
    const note = async () => void heard.add(`${currentTask()?.name} in ${currentTask()?.kind}`)
    const told = gate()
    const progress = () => note().then(told.open)
    const steps = pipeline('clips', t)
      .step('first', () => {})
      .step('second', ['first'], () => told.opened)
    await steps.run(undefined, { progress })
    await steps.run(undefined, { id: 'r-1', checkpoint: { load: async () => null, save: note } })
    expect([...heard]).toEqual(['clips in pipeline'])
  })

  it('is told at most once a second, and once more at the end', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const told: Progress[] = []
    const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))
    const chain = Array.from({ length: 25 }, (_, at) => ({
      id: `s${at}`,
      after: at === 0 ? [] : [`s${at - 1}`],
      run: () => sleep(100),
    }))
    const run = pipeline('chain')
      .steps(chain)
      .run(undefined, { progress: (progress) => void told.push(progress) })
    await vi.advanceTimersByTimeAsync(2_500)
    await run
    expect(told.map(({ completed }) => completed)).toEqual([10, 20, 25])
    expect(told.at(-1)).toEqual({ completed: 25, total: 25, percent: 100 })
  })

  it('true tells the broker of the task, which is asked once for a short run', async () => {
    const told: number[] = []
    const run = runner(async (_, next) => next(), { report: (percent) => void told.push(percent) })
    const three = pipeline('three')
      .steps(['a', 'b', 'c'].map((id) => ({ id, run: () => {} })))
      .finally('d', () => {})
    await run({}, () => three.run(undefined, { progress: true }))
    expect(told).toEqual([100])
  })

  it('outside of a task is nobody to tell', async () => {
    await pipeline('alone')
      .step('only', () => {})
      .run(undefined, { progress: true })
  })

  it('that fails to be told is counted, and changes nothing', async () => {
    const { faults } = await record()
    const run = pipeline('one')
      .step('only', () => 5)
      .run(undefined, { progress: () => Promise.reject(boom) })
    expect(await run).toEqual({ only: 5 })
    expect(await faults()).toBe(1)
  })
})
