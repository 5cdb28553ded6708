// One context is entered for a task, its scope and its span: who sees it before, beside and after the span.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Context, context, createContextKey, propagation, type Span, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider, type SpanProcessor } from '@opentelemetry/sdk-trace-base'
import { around, compose, currentTask, type Middleware } from 'taskspan'
import { pipeline } from 'taskspan/pipeline'
import { service } from 'taskspan/spans'
import { tracing } from 'taskspan/tracing'
import { afterEach, describe, expect, it } from 'vitest'
import { runner, SENDER, SPAN_ID, turns } from '../support/run.ts'

class Parents implements SpanProcessor {
  readonly seen: { span: Span; parent: Context }[] = []
  onStart(span: Span, parent: Context): void {
    this.seen.push({ span, parent })
  }
  onEnd(): void {}
  async forceFlush(): Promise<void> {}
  async shutdown(): Promise<void> {}
}

function register(manager = new AsyncLocalStorageContextManager().enable()): Parents {
  const parents = new Parents()
  context.setGlobalContextManager(manager)
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [parents] }))
  return parents
}

afterEach(() => {
  context.disable()
  propagation.disable()
  trace.disable()
})

const here = (): Span | undefined => trace.getSpan(context.active())
const steps = (...middleware: Middleware[]) => pipeline('clips', ...middleware)

describe('what stands outside of tracing', () => {
  it('is not in its span: a middleware, before and after', async () => {
    register()
    const seen: unknown[] = []
    const outside: Middleware = async (_, next) => {
      seen.push(here())
      await next()
      seen.push(here())
    }
    let inside: Span | undefined
    const look = (): void => {
      inside = here()
    }
    await runner(compose(outside, tracing()))({}, look)
    await steps(outside, tracing()).step('cut', look).run()
    expect(inside).toBeDefined()
    // The task; then the pipeline, and the step in the pipeline's span.
    expect(seen.filter((span) => span === undefined)).toHaveLength(4)
    expect(seen).not.toContain(inside)
  })

  it('is not in its span: the context that an observer has kept', async () => {
    register()
    const kept: Context[] = []
    const observer = around({ part: 'mine', start: () => void kept.push(context.active()) })
    await runner(compose(observer, tracing()))({}, () => expect(here()).toBeDefined())
    expect(kept.map((at) => trace.getSpan(at))).toEqual([undefined])
  })

  it.each(['attributes', 'correlate', 'parent'] as const)(
    'is not in its span: what %s keeps, and goes on with',
    async (option) => {
      register()
      const kept: Context[] = []
      const later: unknown[] = []
      const ask = (): undefined => {
        kept.push(context.active())
        void turns(1).then(() => later.push(here()))
      }
      const asking = tracing({
        correlation: ['request_id'],
        [option]: option === 'parent' ? () => ask() ?? 'child' : ask,
      })
      await runner(asking)({ carrier: SENDER }, () => turns(2))
      expect(kept.map((at) => trace.getSpan(at))).toEqual([undefined])
      expect(later).toEqual([undefined])
    },
  )

  it('is not in its span: a handler that calls a traced middleware itself', async () => {
    register()
    const seen: unknown[] = []
    await runner(compose())({}, async () => {
      const task = currentTask()
      if (task === undefined) throw new Error('no task')
      await tracing()(task, async () => void seen.push(here()))
      seen.push(here())
    })
    expect(seen).toEqual([expect.anything(), undefined])
  })
})

it('two tracings are one in the other', async () => {
  const { seen } = register()
  const inside = await steps(tracing(), tracing()).step('cut', here).run()
  const [outer, inner] = seen.slice(2)
  expect(inside.cut).toBe(inner?.span)
  expect(trace.getSpan(inner?.parent as Context)).toBe(outer?.span)
})

it("the parent's context, kept by a span processor, stays what it was", async () => {
  const { seen } = register()
  await runner(tracing())({ carrier: SENDER }, () =>
    steps(tracing())
      .step('cut', () => {})
      .run(),
  )
  await runner(tracing())()
  const [task, whole, cut, alone] = seen
  expect(trace.getSpanContext(task?.parent as Context)?.spanId).toBe(SPAN_ID)
  expect(trace.getSpan(alone?.parent as Context)).toBeUndefined()
  expect(trace.getSpan(whole?.parent as Context)).toBe(task?.span)
  expect(trace.getSpan(cut?.parent as Context)).toBe(whole?.span)
})

it('the task is the current one for whatever its span asks', async () => {
  register()
  const seen: unknown[] = []
  const asking = tracing({ attributes: () => void seen.push(currentTask()?.name) })
  await runner(asking)({ name: 'render' })
  await steps(asking)
    .step('cut', () => {})
    .run()
  expect(seen).toEqual(['render', 'clips', 'cut'])
})

it('a call that is made while the span is asked for has its own span to itself', async () => {
  const { seen } = register()
  const after: unknown[] = []
  const calling = tracing({
    attributes({ kind }) {
      if (kind !== 'step') return undefined
      service('users.look_up', { user_id: 'u-1' }, () => {})
      after.push(here())
      return undefined
    },
  })
  await steps(calling)
    .step('cut', () => after.push(here()))
    .run()
  const [whole, lookUp, cut] = seen.map(({ span }) => span)
  expect(lookUp).toMatchObject({ name: 'users.look_up' })
  expect(after).toEqual([whole, cut])
})

it('a context manager that enters contexts of its own still has the span and the task in them', async () => {
  const mark = createContextKey('mark')
  class Marking extends AsyncLocalStorageContextManager {
    override with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
      active: Context,
      fn: F,
      thisArg?: ThisParameterType<F>,
      ...args: A
    ): ReturnType<F> {
      return super.with(active.setValue(mark, here()), fn, thisArg, ...args)
    }
  }
  const { seen } = register(new Marking().enable())
  await runner(tracing())({ name: 'render' }, async () => {
    await turns(1)
    expect([here(), currentTask()?.name]).toEqual([seen[0]?.span, 'render'])
    await steps(tracing())
      .step('cut', () => expect([here(), currentTask()?.name]).toEqual([seen[2]?.span, 'cut']))
      .run()
  })
  expect(seen).toHaveLength(3)
})

it('a task has its span also where the context manager cannot say what is active', async () => {
  class Broken extends AsyncLocalStorageContextManager {
    override active(): Context {
      throw new Error('no context')
    }
  }
  const { seen } = register(new Broken().enable())
  expect(await runner(tracing())({ name: 'render' }, () => 'rendered')).toBe('rendered')
  expect(seen.map(({ span }) => span)).toMatchObject([{ name: 'taskiq.render' }])
})

it.each([
  ['without telemetry', steps()],
  ['with tracing', steps(tracing())],
])('does not hold the context before it, %s: work that starts its successor goes on for ever', async (_, clips) => {
  const { seen } = register()
  setFlagsFromString('--expose-gc')
  const gc = runInNewContext('gc') as () => void
  const refs: WeakRef<Context>[] = []
  let over = (_: Context): void => {}
  const last = new Promise<Context>((resolve) => {
    over = resolve
  })
  const again = clips.step('next', () => {
    const active = context.active()
    refs.push(new WeakRef(active))
    setImmediate(() => (refs.length < 50 ? again.run() : over(active)))
  })
  await again.run()
  const held = await last
  await turns()
  seen.length = 0
  gc()
  expect(refs.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(10)
  expect(held).toBe(refs.at(-1)?.deref())
})
