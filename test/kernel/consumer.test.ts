// The flow: message -> task -> onion(handler) -> settle, with adapters and messages that misbehave.
import { context, createContextKey, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import {
  type Adapter,
  compose,
  consumer,
  currentTask,
  type Ending,
  type Middleware,
  reject,
  type TaskFields,
} from 'taskspan'
import { bind, logging } from 'taskspan/logging'
import { recordLogs, recordSpans } from 'taskspan/testing'
import { tracing } from 'taskspan/tracing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { faultsOf } from '../support/faults.ts'
import { gate, runner, taskOf, turns } from '../support/run.ts'

const through: Middleware = (_, next) => next()
const fail = (error: unknown) => (): never => {
  throw error
}

describe('settling', () => {
  function settling(middleware: Middleware, settle: (ending: Ending) => void | Promise<void>) {
    const adapter: Adapter<TaskFields> = {
      system: 'memory',
      read: (fields) => fields,
      settle: (_, ending) => settle(ending),
    }
    const consume = consumer(adapter, middleware)
    return (handler: () => unknown) => consume({ name: 'render', queue: 'clips' }, handler)
  }

  it('comes after the whole onion has returned, once', async () => {
    const seen: string[] = []
    const held = gate()
    const slowToLeave: Middleware = async (_, next) => {
      await next()
      await held.opened
      seen.push('onion')
    }
    const consume = settling(slowToLeave, () => void seen.push('settled'))
    const running = consume(() => void seen.push('handler'))
    await turns()
    expect(seen).toEqual(['handler'])
    held.open()
    await running
    expect(seen).toEqual(['handler', 'onion', 'settled'])
  })

  it('is told how the task ended: the handler’s own error, or its success', async () => {
    const endings: Ending[] = []
    const consume = settling(through, (ending) => void endings.push(ending))
    const error = new Error('no')
    await expect(consume(fail(error))).resolves.toBeUndefined()
    await expect(consume(() => 7)).resolves.toBe(7)
    await consume(fail(undefined))
    expect(endings).toMatchObject([
      { outcome: 'failure', threw: true, error },
      { outcome: 'success', threw: false },
      { outcome: 'failure', threw: true, error: undefined },
    ])
    expect(endings[0]?.error).toBe(error)
    expect(endings[0]?.durationMs).toBeGreaterThanOrEqual(0)
  })

  it('is told what the middleware made of it', async () => {
    const settle = vi.fn()
    const own = new Error('quota')
    const vetoing: Middleware = async (_, next) => {
      await next()
      throw own
    }
    await settling(vetoing, settle)(() => 'done')
    const saving: Middleware = (_, next) => next().catch(() => 'saved')
    expect(await settling(saving, settle)(fail(own))).toBe('saved')
    expect(settle.mock.calls).toMatchObject([[{ threw: true, error: own }], [{ threw: false, outcome: 'success' }]])
  })

  it.each([
    ['throws', fail(new Error('channel closed'))],
    ['rejects', () => Promise.reject(new Error('channel closed'))],
  ])('is counted when it %s, and harms nothing', async (_, settle) => {
    const faults = faultsOf('memory', 'settle')
    await expect(settling(through, settle)(() => 7)).resolves.toBe(7)
    expect(faults()).toBe(1)
  })
})

describe('reading', () => {
  it('fills in what an adapter does not say', async () => {
    expect(await taskOf({ name: 'n', queue: 'q' })).toMatchObject({
      ...{ kind: 'task', name: 'n', queue: 'q', type: 'on_demand', attempt: 1, system: 'memory' },
      ...{ id: undefined, maxAttempts: undefined, parent: undefined, signal: undefined },
    })
  })

  it('hands middleware the message and the signal themselves', async () => {
    const fields = { name: 'n', queue: 'q' }
    const { signal } = new AbortController()
    const seen = vi.fn()
    await runner((task, next) => {
      seen(task.message, task.signal)
      return next()
    })(fields, undefined, signal)
    expect(seen.mock.calls[0]?.[0]).toEqual(fields)
    expect(seen.mock.calls[0]?.[1]).toBe(signal)
  })

  it('cuts a name at 128 characters', async () => {
    expect((await taskOf({ name: 'n'.repeat(500) })).name).toHaveLength(128)
  })

  it.each<[string, () => TaskFields]>([
    ['throws', fail(new Error('no such header'))],
    ['gives nothing', () => undefined as never],
    ['gives no name', () => ({ queue: 'q' }) as never],
  ])('runs the handler all the same when it %s, and counts it', async (_, read) => {
    const faults = faultsOf('memory', 'read')
    const handler = vi.fn(() => currentTask())
    const task = await runner(through, { read })({}, handler)
    expect(task).toMatchObject({ name: 'unknown', queue: 'unknown', attempt: 1 })
    expect(handler).toHaveBeenCalledTimes(1)
    expect(faults()).toBe(1)
  })
})

describe('judging', () => {
  const outcomeOf = async (thrown: unknown, adapter: Partial<Adapter<TaskFields>>, signal?: AbortSignal) => {
    let ending: Ending | undefined
    const run = runner(through, {
      ...adapter,
      settle: (_, given) => {
        ending = given
      },
    })
    await run({}, fail(thrown), signal)
    return ending?.outcome
  }
  const aborted = AbortSignal.abort()

  it('is failure where the adapter does not judge', async () => {
    expect(await outcomeOf(new Error('no'), {})).toBe('failure')
  })

  it('puts control flow before a refusal, a refusal before cancellation, cancellation before retry and failure', async () => {
    const deferring = { judge: () => 'deferred' as const }
    const retrying = { judge: () => 'retry' as const }
    expect(await outcomeOf(reject('malformed'), deferring, aborted)).toBe('deferred')
    expect(await outcomeOf(reject('malformed'), retrying, aborted)).toBe('rejected')
    expect(await outcomeOf(new Error('no'), retrying, aborted)).toBe('cancelled')
    expect(await outcomeOf(new Error('no'), retrying)).toBe('retry')
  })

  it('is success whatever its signal says when the handler returned', async () => {
    let ending: Ending | undefined
    const run = runner(through, {
      settle: (_, given) => {
        ending = given
      },
    })
    await run({}, () => 'late, but done', aborted)
    expect(ending).toMatchObject({ outcome: 'success', threw: false })
  })

  it('is asked once per error, whoever asks', async () => {
    const judge = vi.fn(() => 'retry' as const)
    const asking: Middleware = (task, next) => next().finally(() => task.judge)
    const logs = recordLogs()
    await runner(asking, { judge, settle: () => {} })({}, fail(new Error('no')))
    await runner(logging({ logger: logs.logger }), { judge, settle: () => {} })({}, fail(new Error('no')))
    expect(judge).toHaveBeenCalledTimes(2)
    expect(logs.named('task.retrying')).toHaveLength(1)
  })

  it.each<[string, () => never]>([
    ['throws', fail(new Error('no'))],
    ['says nothing', (() => undefined) as never],
  ])('is failure when it %s', async (title, judge) => {
    const faults = faultsOf('memory', 'judge')
    expect(await outcomeOf(new Error('no'), { judge })).toBe('failure')
    expect(faults()).toBe(title === 'throws' ? 1 : 0)
  })
})

describe('the start', () => {
  it('is from the root: nothing that was active when the message arrived, or when the consumer was made', async () => {
    await using _ = recordSpans()
    const key = createContextKey('request')
    const request = propagation.setBaggage(
      trace.setSpan(ROOT_CONTEXT.setValue(key, 'r-1'), trace.getTracer('api').startSpan('GET /')),
      propagation.createBaggage({ session: { value: 's-1' } }),
    )
    const seen = vi.fn()
    await context.with(request, () =>
      bind({ request_id: 'r-1' }, async () => {
        const logs = recordLogs()
        const run = runner(logging({ logger: logs.logger }))
        await run({}, () => {
          seen(context.active().getValue(key), trace.getActiveSpan(), propagation.getActiveBaggage())
          return turns(1)
        })
        expect(logs.lines).not.toHaveLength(0)
        for (const line of logs.lines) expect(line).not.toHaveProperty('request_id')
      }),
    )
    expect(seen).toHaveBeenCalledExactlyOnceWith(undefined, undefined, undefined)
  })

  it('is no step, pipeline or send of a task around it', async () => {
    const run = runner(through)
    const inner = await run({ name: 'outer' }, () => run({ name: 'inner' }, () => currentTask()))
    expect(inner).toMatchObject({ name: 'inner', kind: 'task', parent: undefined })
  })

  it('is not kept from the handler by a context manager that throws', async () => {
    const boom = fail(new Error('no context'))
    context.setGlobalContextManager({
      active: boom,
      with: boom,
      bind: boom,
      enable: () => ({}) as never,
      disable: boom,
    })
    onTestFinished(() => {
      // The manager cannot even be disabled: a new one takes its place.
      Reflect.deleteProperty(Reflect.get(globalThis, Symbol.for('opentelemetry.js.api.1')) as object, 'context')
    })
    const handler = vi.fn(() => 7)
    expect(await runner(through)({}, handler)).toBe(7)
    expect(handler).toHaveBeenCalledTimes(1)
  })
})

describe('currentTask()', () => {
  it('is undefined outside of any task', () => {
    expect(currentTask()).toBeUndefined()
  })

  it('is the task that runs here: in middleware below it, in the handler, after awaits and in timers', async () => {
    const run = runner((task, next) => {
      expect(currentTask()).toBe(task)
      return next()
    })
    const seen = await run({ name: 'render', id: '7' }, async () => {
      const before = currentTask()
      await turns()
      return [before, currentTask(), await new Promise((resolve) => setTimeout(() => resolve(currentTask()), 1))]
    })
    expect(new Set(seen).size).toBe(1)
    expect(seen?.[0]).toMatchObject({ name: 'render', id: '7' })
    expect(currentTask()).toBeUndefined()
  })

  it('tells a hundred interleaved tasks apart', async () => {
    const run = runner(through)
    const ids = Array.from({ length: 100 }, (_, at) => String(at))
    const seen = await Promise.all(
      ids.map((id) =>
        run({ id }, async () => {
          await turns(1 + (Number(id) % 5))
          return currentTask()?.id
        }),
      ),
    )
    expect(seen).toEqual(ids)
  })
})

it.each([
  ['never calls back', () => {}],
  [
    'throws',
    () => {
      throw new Error('not a then')
    },
  ],
])('a handler may give a promise whose own then %s: the task ends as the promise does', async (_, then) => {
  await using spans = recordSpans()
  const five = () => turns().then(() => 5)
  const onIt = () => Object.assign(five(), { then })
  const below = () => Object.setPrototypeOf(five(), Object.assign(Object.create(Promise.prototype), { then }))
  const own: Middleware = async (_, next) => next()
  for (const middleware of [compose(), tracing(), own, compose(tracing(), own), compose(own, tracing())]) {
    expect(await runner(middleware)({}, onIt as never)).toBe(5)
    expect(await runner(middleware)({}, below)).toBe(5)
  }
  expect(spans.open).toEqual([])
})
