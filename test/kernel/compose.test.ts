// The onion: order, and the checks on next(), with middleware as users write it.
import { around, compose, type Middleware, notify, type TaskEvent, TaskspanError } from 'taskspan'
import { expect, it, onTestFinished, vi } from 'vitest'
import { faultsOf } from '../support/faults.ts'
import { gate, runner, turns } from '../support/run.ts'

const named =
  (name: string, seen: string[]): Middleware =>
  async (_, next) => {
    seen.push(`${name} in`)
    const result = await next()
    seen.push(`${name} out`)
    return result
  }

/** Rejections that nobody handled, until the test ends. */
function unhandled(): unknown[] {
  const seen: unknown[] = []
  const listener = (reason: unknown): void => void seen.push(reason)
  process.on('unhandledRejection', listener)
  onTestFinished(() => void process.off('unhandledRejection', listener))
  return seen
}

it('runs the first middleware outermost, around the handler', async () => {
  const seen: string[] = []
  const run = runner(compose(named('a', seen), named('b', seen)))
  await run({}, () => seen.push('handler'))
  expect(seen).toEqual(['a in', 'b in', 'handler', 'b out', 'a out'])
})

it('nests compositions, in the order in which they are written', async () => {
  const seen: string[] = []
  const inner = compose(named('b', seen), compose(named('c', seen)))
  await runner(compose(named('a', seen), inner, compose(), named('d', seen)))()
  expect(seen.filter((step) => step.endsWith('in'))).toEqual(['a in', 'b in', 'c in', 'd in'])
})

it('runs the handler alone when there is no middleware', async () => {
  expect(await runner(compose())({}, () => 7)).toBe(7)
})

it.each([
  ['undefined', undefined],
  ['an object', {}],
  ['a string', 'tracing'],
])('refuses %s in place of a middleware', (_, item) => {
  const make = (): Middleware => compose(async (_, next) => next(), item as never)
  expect(make).toThrow(TaskspanError)
  expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', help: expect.stringMatching(/\w/) }))
})

it('gives the very result and the very error of the handler through any number of layers', async () => {
  const run = runner(compose(named('a', []), named('b', []), named('c', [])))
  const result = Object.freeze({ frames: 3 })
  expect(await run({}, () => result)).toBe(result)
  for (const thrown of [Object.freeze(new Error('no')), undefined, null, 'text', 0, Symbol('s')]) {
    await expect(
      run({}, () => {
        throw thrown
      }).catch((error: unknown) => ({ error })),
    ).resolves.toEqual({ error: thrown })
    await expect(run({}, () => Promise.reject(thrown)).catch((error: unknown) => error === thrown)).resolves.toBe(true)
  }
})

it('lets a middleware answer without its handler, change a result, fail a task and save one', async () => {
  const handler = vi.fn(() => 'made')
  expect(await runner(async () => 'cached')({}, handler)).toBe('cached')
  expect(handler).not.toHaveBeenCalled()
  expect(await runner(async (_, next) => `${await next()}!`)({}, handler)).toBe('made!')

  const own = new Error('quota')
  const failing = runner(async (_, next) => {
    await next()
    throw own
  })
  await expect(failing({}, handler)).rejects.toBe(own)
  const saving = runner((_, next) => next().catch(() => 'saved'))
  expect(await saving({}, () => Promise.reject(own))).toBe('saved')
})

it('takes a middleware that throws instead of rejecting as one that rejects', async () => {
  const own = new Error('sync')
  const handler = vi.fn()
  const run = runner(
    compose(named('a', []), () => {
      throw own
    }),
  )
  await expect(run({}, handler)).rejects.toBe(own)
  expect(handler).not.toHaveBeenCalled()
})

const TWICE: readonly [string, Middleware][] = [
  [
    'awaited both times',
    async (_, next) => {
      await next()
      return next()
    },
  ],
  [
    'without awaiting the first',
    (_, next) => {
      void next()
      return next()
    },
  ],
  [
    'without awaiting the second',
    async (_, next) => {
      const result = await next()
      void next()
      return result
    },
  ],
  [
    'and swallows the refusal',
    async (_, next) => {
      const result = await next()
      await next().catch(() => {})
      return result
    },
  ],
  ['at the same time', async (_, next) => Promise.all([next(), next()])],
]

it.each(TWICE)(
  'fails a task whose middleware calls next() twice, %s, and runs the handler once',
  async (_, careless) => {
    const rejections = unhandled()
    const handler = vi.fn(async () => turns())
    for (const middleware of [careless, compose(named('a', []), careless, named('b', []))]) {
      handler.mockClear()
      const run = runner(middleware)
      await expect(run({}, handler)).rejects.toMatchObject({ name: 'TaskspanError', code: 'NEXT_CALLED_TWICE' })
      expect(handler).toHaveBeenCalledTimes(1)
      expect(handler.mock.settledResults[0]?.type, 'the handler has ended').toBe('fulfilled')
    }
    await turns()
    expect(rejections).toEqual([])
  },
)

it('names the careless middleware', async () => {
  async function retrying(_: unknown, next: () => Promise<unknown>): Promise<unknown> {
    await next()
    return next()
  }
  await expect(runner(retrying)()).rejects.toThrow("Middleware 'retrying' called next() twice.")
})

it('checks in production as in development', async () => {
  vi.stubEnv('NODE_ENV', 'production')
  onTestFinished(() => void vi.unstubAllEnvs())
  const run = runner(async (_, next) => void next())
  await expect(run({}, () => turns())).rejects.toMatchObject({ code: 'NEXT_NOT_AWAITED' })
})

it('waits for a handler whose middleware did not, then fails the task', async () => {
  const rejections = unhandled()
  const held = gate()
  const seen: string[] = []
  const run = runner(async (_, next) => void next())
  const running = run({}, async () => {
    await held.opened
    seen.push('handler ended')
  })
  running.catch(() => seen.push('task ended'))
  await turns()
  expect(seen).toEqual([])
  held.open()
  await expect(running).rejects.toMatchObject({ code: 'NEXT_NOT_AWAITED' })
  expect(seen).toEqual(['handler ended', 'task ended'])
  await turns()
  expect(rejections).toEqual([])
})

it('keeps the error of a handler that nobody awaited as the cause', async () => {
  const rejections = unhandled()
  const error = new Error('no')
  const run = runner(async (_, next) => void next())
  const failing = async (): Promise<never> => {
    await turns()
    throw error
  }
  await expect(run({}, failing)).rejects.toMatchObject({ code: 'NEXT_NOT_AWAITED', cause: error })
  await turns()
  expect(rejections).toEqual([])
})

it('waits for the handler before a middleware that threw early fails the task with its own error', async () => {
  const held = gate()
  const own = new Error('timed out')
  const run = runner((_, next) => Promise.race([next(), Promise.reject(own)]))
  let ended = false
  const running = run({}, async () => {
    await held.opened
    ended = true
  })
  const failed = running.catch((error: unknown) => [error, ended])
  await turns()
  held.open()
  expect(await failed).toEqual([own, true])
})

it('refuses a next() that comes after the task has ended, and counts it', async () => {
  const faults = faultsOf('middleware', 'late_next')
  const handler = vi.fn()
  let late = (): Promise<unknown> => Promise.resolve()
  const run = runner(async (_, next) => {
    late = next
    return 'early'
  })
  expect(await run({}, handler)).toBe('early')
  await expect(late()).rejects.toMatchObject({ code: 'NEXT_NOT_AWAITED' })
  expect(handler).not.toHaveBeenCalled()
  expect(faults()).toBe(1)
})

it('tells every middleware of an event, also after one that throws, which is counted', () => {
  const faults = faultsOf('middleware', 'notice')
  const listening = (notice: (event: TaskEvent) => void): Middleware =>
    Object.assign(async (_: unknown, next: () => Promise<unknown>) => next(), { notice })
  const heard = vi.fn()
  const deaf: Middleware = async (_, next) => next()
  const onion = compose(
    listening(() => {
      throw new Error('no')
    }),
    deaf,
    compose(listening(heard)),
  )
  const event: TaskEvent = { kind: 'schedule', event: 'missed', schedule: 'nightly', count: 2 }
  notify(onion, event)
  expect(heard).toHaveBeenCalledExactlyOnceWith(event)
  expect(faults()).toBe(1)
})

it('a listener that answers by a promise is not awaited, and its rejection is counted, not unhandled', async () => {
  const faults = faultsOf('middleware', 'notice')
  const seen = unhandled()
  const later: Middleware = Object.assign(async (_: unknown, next: () => Promise<unknown>) => next(), {
    notice: async () => {
      throw new Error('the tracker is away')
    },
  })
  notify(compose(later), { kind: 'dead_lettered', queue: 'orders' })
  expect(faults()).toBe(0)
  await turns()
  expect(faults()).toBe(1)
  expect(seen).toEqual([])
})

it('an observer whose end answers by a promise is not awaited, and its rejection is counted, not unhandled', async () => {
  const faults = faultsOf('audit', 'end')
  const seen = unhandled()
  const audit = around({
    part: 'audit',
    end: async () => {
      throw new Error('the audit log is away')
    },
  })
  expect(await runner(audit)({}, () => 7)).toBe(7)
  await turns()
  expect(faults()).toBe(1)
  expect(seen).toEqual([])
})
