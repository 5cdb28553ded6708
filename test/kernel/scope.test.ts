// Where the current task is known: wherever OpenTelemetry's context goes, and without a context manager just the same.
import { EventEmitter } from 'node:events'
import { type Context, type ContextManager, context, ROOT_CONTEXT } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { compose, currentTask } from 'taskspan'
import { bind, mixin } from 'taskspan/logging'
import { tracing } from 'taskspan/tracing'
import { afterEach, describe, expect, it } from 'vitest'
import { faultsSince } from '../support/faults.ts'
import { gate, runner, turns } from '../support/run.ts'

const here = (): string | undefined => currentTask()?.name
const run = runner(compose())
const traced = runner(tracing())

function register(manager: ContextManager = new AsyncLocalStorageContextManager().enable()): void {
  context.setGlobalContextManager(manager)
}

afterEach(() => context.disable())

describe.each([
  ['with a context manager', true],
  ['without one', false],
])('%s', (_, managed) => {
  it.each([
    ['alone', run],
    ['in a span', traced],
  ])('a task %s is the current one to its end, also after awaits, and no longer', async (_, runs) => {
    if (managed) register()
    const seen: unknown[] = []
    await runs({ name: 'outer' }, async () => {
      seen.push(here())
      await turns(1)
      seen.push(here())
      setTimeout(() => seen.push(here()), 1)
    })
    expect(here()).toBeUndefined()
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(seen).toEqual(['outer', 'outer', 'outer'])
  })

  it('tasks that run at the same time, and inside each other, do not mix', async () => {
    if (managed) register()
    const held = gate()
    const seen: unknown[] = []
    const one = run({ name: 'one' }, async () => {
      await held.opened
      await traced({ name: 'inner' }, async () => void seen.push(here()))
      seen.push(here())
    })
    const two = traced({ name: 'two' }, async () => {
      await held.opened
      seen.push(here())
    })
    held.open()
    await Promise.all([one, two])
    expect(seen.sort()).toEqual(['inner', 'one', 'two'])
  })

  it('bound keys stay with the task', async () => {
    if (managed) register()
    const fields = await traced({ name: 'outer' }, () => bind({ request_id: 'r-1' }, mixin))
    expect(fields).toMatchObject({ task_name: 'outer', request_id: 'r-1' })
  })

  it('what a bound function throws is what its caller gets, and no fault of ours', () => {
    if (managed) register()
    const counted = faultsSince()
    const error = new Error('theirs')
    const call = (): never =>
      bind({ request_id: 'r-1' }, () => {
        throw error
      })
    expect(call).toThrow(error)
    expect(counted()).toEqual({})
  })
})

it('goes wherever the context is taken to: a listener bound with context.bind knows the task it was made in', async () => {
  register()
  const emitter = new EventEmitter()
  const seen: unknown[] = []
  await run({ name: 'outer' }, () => {
    emitter.on(
      'bound',
      context.bind(context.active(), () => seen.push(here())),
    )
    emitter.on('unbound', () => seen.push(here()))
  })
  emitter.emit('bound')
  emitter.emit('unbound')
  expect(seen).toEqual(['outer', undefined])
})

it('does not go to the root: who starts from there is outside of the task', async () => {
  register()
  await run({ name: 'outer' }, () => {
    expect(context.with(ROOT_CONTEXT, here)).toBeUndefined()
    expect(here()).toBe('outer')
  })
})

it('outlives a context manager that comes, and one that goes, while a task runs', async () => {
  const seen: unknown[] = []
  await run({ name: 'first' }, async () => {
    register()
    await turns(1)
    seen.push(here())
    await run({ name: 'second' }, async () => {
      context.disable()
      await run({ name: 'third' }, async () => void seen.push(here()))
    })
    seen.push(here())
  })
  expect(seen).toEqual(['first', 'third', 'first'])
})

const lost = (): never => {
  throw new Error('context lost')
}
const FAILING: readonly [string, Partial<ContextManager>][] = [
  ['gives no context', { active: () => undefined as never }],
  ['throws when it is asked', { active: lost }],
  ['gives a context that throws', { active: () => ({ getValue: lost }) as unknown as Context }],
  ['throws instead of running', { with: lost }],
  [
    'throws after running',
    {
      with: ((_: Context, fn: (...args: unknown[]) => unknown, self: unknown, ...args: unknown[]) => {
        Reflect.apply(fn, self, args)
        return lost()
      }) as never,
    },
  ],
  ['never runs anything', { with: (() => undefined) as never }],
]

it.each(FAILING)('a context manager that %s: the handler runs once, and its task is known', async (_, broken) => {
  const manager = new AsyncLocalStorageContextManager().enable()
  register(Object.assign(manager, broken))
  let runs = 0
  const seen = await traced({ name: 'outer' }, async () => {
    runs++
    await turns(1)
    return here()
  })
  expect([runs, seen]).toEqual([1, 'outer'])
})
