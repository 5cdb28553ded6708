// How a pipeline runs: each step at its own moment, with the outputs that it named, and nothing kept that nobody reads.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { currentTask } from 'taskspan'
import { pipeline } from 'taskspan/pipeline'
import { describe, expect, it } from 'vitest'
import { gate, turns } from '../support/run.ts'

describe('the moment of starting', () => {
  it('is when its own needs are met, not when a level is through', async () => {
    const slow = gate()
    const after = gate()
    const run = pipeline('levels')
      .step('fast', () => 'f')
      .step('slow', () => slow.opened)
      .step('after_fast', ['fast'], () => after.open())
      .step('after_slow', ['slow'], () => {})
      .run()
    await after.opened // while `slow` still runs
    slow.open()
    await run
  })

  it('is in definition order where several are ready and places are few', async () => {
    const started: string[] = []
    const note = (id: string) => async () => void started.push(id)
    await pipeline('places')
      .options({ concurrency: 1 })
      .step('c', note('c'))
      .step('b', note('b'))
      .step('after_c', ['c'], note('after_c'))
      .step('a', note('a'))
      .run()
    expect(started).toEqual(['c', 'b', 'after_c', 'a'])
  })

  it('waits for a place under concurrency', async () => {
    const gates = [gate(), gate(), gate()]
    let running = 0
    let most = 0
    const body = (at: number) => async () => {
      most = Math.max(most, ++running)
      await gates[at]?.opened
      running--
    }
    const run = pipeline('two')
      .options({ concurrency: 2 })
      .steps(gates.map((_, at) => ({ id: `s${at}`, run: body(at) })))
      .run()
    await turns()
    expect(running).toBe(2)
    for (const { open } of gates) open()
    await run
    expect(most).toBe(2)
  })

  it('is at once: a run with only synchronous steps has started the first when run() returns', async () => {
    let started = false
    const run = pipeline('sync')
      .step('only', () => {
        started = true
      })
      .run()
    await turns()
    expect(started).toBe(true)
    await run
  })
})

describe('what a step gets', () => {
  it('is the input, and exactly the outputs that it named', async () => {
    const keys: string[][] = []
    const { join } = await pipeline<{ n: number }>('named')
      .step('one', ({ input }) => input.n)
      .step('two', ['one'], async ({ one, input }) => one + input.n)
      .step('join', ['one', 'two'], (context) => {
        keys.push(Object.keys(context).sort())
        return [context.one, context.two, context.attempt]
      })
      .run({ n: 5 })
    expect(join).toEqual([5, 10, 1])
    expect(keys).toEqual([['attempt', 'input', 'log', 'one', 'progress', 'signal', 'two']])
  })

  it('is its own task as the current one, inside of the pipeline and of the task around it', async () => {
    const seen: unknown[] = []
    await pipeline('around')
      .step('first', () => {
        for (let task = currentTask(); task !== undefined; task = task.parent) seen.push([task.kind, task.name])
      })
      .run()
    expect(seen).toEqual([
      ['step', 'first'],
      ['pipeline', 'around'],
    ])
    expect(currentTask()).toBeUndefined()
  })

  it('says its progress, which the report then has', async () => {
    const run = pipeline('progress')
      .step('frames', ({ progress }) => progress(30, 100))
      .run()
    await run
    expect(run.report().steps[0]).toMatchObject({ progress: { value: 30, total: 100 } })
  })
})

describe('what a run gives', () => {
  const diamond = pipeline<number>('diamond')
    .step('top', ({ input }) => input)
    .step('left', ['top'], ({ top }) => top + 1)
    .step('right', ['top'], ({ top }) => top + 2)
    .step('bottom', ['left', 'right'], ({ left, right }) => left * right)
    .step('aside', ['top'], () => undefined)

  it('is the outputs that no other step named', async () => {
    expect(await diamond.run(1)).toEqual({ bottom: 6, aside: undefined })
  })

  it('is also what it was asked to keep, or all', async () => {
    expect(await diamond.run(1, { keep: ['left'] })).toEqual({ left: 2, bottom: 6, aside: undefined })
    expect(await diamond.run(1, { keep: true })).toEqual({ top: 1, left: 2, right: 3, bottom: 6, aside: undefined })
  })

  it('is nothing for a pipeline without steps', async () => {
    expect(await pipeline('nothing').run()).toEqual({})
  })

  it('has each run for itself, also at the same time', async () => {
    const runs = await Promise.all([1, 2, 3].map((n) => diamond.run(n)))
    expect(runs.map(({ bottom }) => bottom)).toEqual([6, 12, 20])
  })

  it('is what a thenable settles with, as with await', async () => {
    // biome-ignore lint/suspicious/noThenProperty: a query builder is such a thing
    const thenable = { then: (resolve: (value: number) => void) => resolve(5) }
    expect(
      await pipeline('thenable')
        .step('query', () => thenable as unknown as Promise<number>)
        .run(),
    ).toEqual({
      query: 5,
    })
  })
})

describe('what a step returns', () => {
  const settles = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve, 5))
  const never = () => {}
  const twice = (resolve: (value: number) => void) => [resolve(6), resolve(7)]
  const fails = () => {
    throw new Error('not a then')
  }
  it.each([
    ['never calls back', never],
    ['calls back twice', twice],
    ['throws', fails],
  ])('may be a promise whose own then %s: it is what the promise is', async (_, then) => {
    const odd = () => Object.assign(settles(), { then })
    const outputs = await pipeline('odd')
      .step('odd', odd)
      .step('next', ['odd'], ({ odd }) => odd)
      .run()
    expect(outputs).toEqual({ next: 5 })
  })

  it('may be a promise that is no promise to those who look closely: the step fails, and the run ends', async () => {
    let looks = 0
    const odd = () =>
      Object.defineProperty(settles(), 'constructor', {
        get() {
          if (looks++ > 0) throw new Error('looked twice')
          return Promise
        },
      })
    await expect(pipeline('odd').step('odd', odd).run()).rejects.toThrow('looked twice')
  })
})

describe('a definition', () => {
  it('is a value: two may be continued from one', async () => {
    const common = pipeline<number>('common').step('load', ({ input }) => input)
    const twice = common.step('out', ['load'], ({ load }) => load * 2)
    const thrice = common.step('out', ['load'], ({ load }) => load * 3)
    expect(await common.run(5)).toEqual({ load: 5 })
    expect(await twice.run(5)).toEqual({ out: 10 })
    expect(await thrice.run(5)).toEqual({ out: 15 })
  })

  it('may be made from data, in any order', async () => {
    const outputs = await pipeline<number>('data')
      .steps([
        { id: 'c', after: ['b', 'a'], run: ({ a, b }) => `${a}${b}c` },
        { id: 'b', after: ['a'], run: ({ a }) => `${a}b` },
        { id: 'a', run: ({ input }) => `a${input}` },
      ])
      .run(1)
    expect(outputs).toEqual({ c: 'a1a1bc' })
  })

  it('nests: a step may run another pipeline', async () => {
    const inner = pipeline<number>('inner').step('double', ({ input }) => input * 2)
    const outer = pipeline<number>('outer').step('call', async ({ input, signal }) => inner.run(input, { signal }))
    expect(await outer.run(4)).toEqual({ call: { double: 8 } })
  })
})

describe('final steps', () => {
  it('run after all others, in their order, and know how it ended', async () => {
    const seen: unknown[] = []
    const result = await pipeline('finals')
      .finally('close', ({ outcome, error }) => void seen.push('close', outcome, error))
      .step('work', async () => void seen.push('work'))
      .finally('remove', ['work'], async () => void seen.push('remove'))
      .run()
    expect(seen).toEqual(['work', 'close', 'success', undefined, 'remove'])
    expect(result).toEqual({ work: undefined })
  })

  it('get outputs that no step reads any more', async () => {
    let removed: unknown
    await pipeline('held')
      .step('download', () => '/tmp/clip')
      .step('use', ['download'], ({ download }) => download.length)
      .finally('remove', ['download'], ({ download }) => {
        removed = download
      })
      .run()
    expect(removed).toBe('/tmp/clip')
  })
})

describe('memory', () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void

  it('is given back when the last step that reads an output has run', async () => {
    let reference: WeakRef<object> | undefined
    const hold = gate()
    const read = gate()
    const run = pipeline('release')
      .step('large', () => {
        const output = { bytes: new Uint8Array(1_000_000) }
        reference = new WeakRef(output)
        return output
      })
      .step('first', ['large'], ({ large }) => large.bytes.length)
      .step('second', ['large', 'first'], ({ large, first }) => large.bytes.length + first)
      .step('later', ['second'], async () => {
        read.open()
        await hold.opened
      })
      .run()
    await read.opened
    await turns()
    collect()
    expect(reference?.deref()).toBeUndefined()
    hold.open()
    await run
  })
})

describe('size', () => {
  it('may be 10,000 steps in one chain', async () => {
    const size = 10_000
    const chain = Array.from({ length: size }, (_, at) => ({
      id: `s${at}`,
      after: at === 0 ? [] : [`s${at - 1}`],
      run: (context: Readonly<Record<string, unknown>>) => (at === 0 ? 0 : Number(context[`s${at - 1}`]) + 1),
    }))
    expect(await pipeline('chain').steps(chain).run()).toEqual({ [`s${size - 1}`]: size - 1 })
  })

  it('may be 10,000 skipped steps in one chain', async () => {
    const chain = Array.from({ length: 10_000 }, (_, at) => ({
      id: `s${at}`,
      after: at === 0 ? [] : [`s${at - 1}`],
      run: () => at,
      options: at === 0 ? { skip: () => 'not today' } : {},
    }))
    const run = pipeline('skips').steps(chain).run()
    expect(await run).toEqual({ s9999: undefined })
    expect(run.report().steps.every(({ status, reason }) => status === 'skipped' && reason === 'not today')).toBe(true)
  })

  it('may be 10,000 steps in one chain that all throw before their first await', async () => {
    const chain = Array.from({ length: 10_000 }, (_, at) => ({
      id: `s${at}`,
      after: at === 0 ? [] : [`s${at - 1}`],
      run: () => {
        throw new Error('at once')
      },
      options: { optional: true },
    }))
    expect(await pipeline('throws').steps(chain).run()).toEqual({ s9999: undefined })
  })

  it('may be 10,000 steps written one after the other', async () => {
    let built = pipeline('written').step('s0', () => 0) as unknown as {
      step(id: string, after: string[], run: () => number): typeof built
      run(): Promise<object>
    }
    for (let at = 1; at < 10_000; at++) built = built.step(`s${at}`, [`s${at - 1}`], () => at)
    expect(await built.run()).toEqual({ s9999: 9999 })
  })
})
