// What a tick must not change: what passes through it, what it must not inherit, and what telemetry may not break.
import { context, propagation, trace } from '@opentelemetry/api'
import { currentTask, type Middleware } from 'taskspan'
import { cron, type Tick } from 'taskspan/cron'
import { bind, log } from 'taskspan/logging'
import { fakeBroker } from 'taskspan/testing'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { FAULTY, FAULTY_ON_FAILURE } from '../conformance/faulty.ts'

import { record } from '../support/record.ts'
import { gate } from '../support/run.ts'

class SweepError extends Error {
  override name = 'SweepError'
}

const failing = async (): Promise<never> => {
  throw new SweepError('disk full')
}

const inRequest = <T>(fn: () => Promise<T>): Promise<T> =>
  trace.getTracer('app').startActiveSpan('GET /report', async (span) => {
    try {
      return await fn()
    } finally {
      span.end()
    }
  })

describe('what passes through', () => {
  it('arguments, this and the very result', async () => {
    const { t } = await record()
    const result = { removed: 3 }
    const runner = {
      onTick: cron(t)('cleanup', function (this: unknown, ...args: unknown[]) {
        return { owner: this, args, result }
      }),
    }
    const seen = await runner.onTick('a', runner, undefined)
    expect(seen.owner).toBe(runner)
    expect(seen.args).toEqual(['a', runner, undefined])
    expect(seen.result).toBe(result)
    expect(await cron(t)('nothing', () => {})()).toBeUndefined()
  })

  it.each([
    ['an error', new SweepError('disk full')],
    ['a frozen error', Object.freeze(new Error('cold'))],
    ['undefined', undefined],
    [
      'an object whose getters throw',
      Object.defineProperty({}, 'message', {
        get() {
          throw new Error('no')
        },
      }),
    ],
  ])('the very thing thrown: %s, at once or later', async (_, thrown) => {
    const { t, spans } = await record()
    const now = cron(t)('now', () => {
      throw thrown
    })
    const later = cron(t)('later', async () => {
      throw thrown
    })
    for (const run of [now, later]) {
      const caught = await run().then(
        () => 'nothing was thrown',
        (error: unknown) => ({ error }),
      )
      expect(caught).toEqual({ error: thrown })
      expect((caught as { error: unknown }).error).toBe(thrown)
    }
    expect(spans.spans.map((span) => span.status)).toEqual(['error', 'error'])
  })

  it('the moment: the function starts before the call returns', async () => {
    const { t } = await record()
    let started = false
    const run = cron(t)('cleanup', () => {
      started = true
    })()
    expect(started).toBe(true)
    await run
  })

  it('types: what the function takes, gives and is called on', () => {
    const tick: Tick = cron()
    const count = tick('count', async (rows: number, table: string) => `${table}: ${rows}`)
    expectTypeOf(count).parameters.toEqualTypeOf<[number, string]>()
    expectTypeOf(count).returns.resolves.toBeString()
    // @ts-expect-error: the function takes a number first
    const wrong = () => count('7', 'clips')
    // @ts-expect-error: the interval is a number
    const mistyped = () => tick('x', () => {}, { intervalMs: '1s' })
    // @ts-expect-error: called without the `this` that the function needs
    const loose = () => tick('x', function (this: Date) {})()
    expect([wrong, mistyped, loose]).toHaveLength(3)
  })

  it('everything, where there is no middleware and no SDK', async () => {
    expect(await cron()('bare', (n: number) => n + 1)(1)).toBe(2)
    await expect(cron()('bare', failing)()).rejects.toThrow(SweepError)
  })
})

describe('a tick made inside a request', () => {
  it('inherits neither its trace, nor its baggage, nor its bound keys, when a timer runs it', async () => {
    const { spans, logs, t } = await record({ correlation: ['request_id'] })
    const { open, opened } = gate()
    let seen: unknown
    const baggage = propagation.createBaggage({ session: { value: 's3cret' }, request_id: { value: 'r-1' } })
    await inRequest(async () => {
      bind({ request_id: 'r-1' }, () => {
        context.with(propagation.setBaggage(context.active(), baggage), () => {
          const timer = setInterval(
            cron(t)('cleanup', () => {
              clearInterval(timer)
              log().info('inside')
              seen = [propagation.getActiveBaggage(), currentTask()?.name]
              open()
            }),
            1,
          )
        })
      })
    })
    await opened
    expect(seen).toEqual([undefined, 'cleanup'])
    const span = await spans.waitFor('taskiq.cleanup')
    expect(span).toMatchObject({ parentSpanId: undefined, links: [] })
    expect(span.traceId).not.toBe(spans.one('GET /report').traceId)
    expect(span.attributes).not.toHaveProperty('request_id')
    const lines = logs.lines.map(({ message, request_id }) => [message, request_id])
    expect(lines).toEqual(['task.started', 'inside', 'task.succeeded'].map((message) => [message, undefined]))
  })

  it('nor when the request runs it by hand; and the request gets its own context back', async () => {
    const { spans, t } = await record()
    const run = cron(t)('cleanup', () => {})
    await inRequest(async () => {
      const before = trace.getActiveSpan()
      await run()
      expect(trace.getActiveSpan()).toBe(before)
      expect(currentTask()).toBeUndefined()
    })
    expect(spans.outline().split('\n').sort()).toEqual(['GET /report', 'taskiq.cleanup'])
  })

  it('what a run sends joins the trace of the run', async () => {
    const { spans, t } = await record()
    const broker = fakeBroker(t)
    broker.consume('exports', () => {})
    await inRequest(() => cron(t)('nightly', () => void broker.send('exports', { name: 'export' }))())
    await broker.settled(1)
    expect(spans.outline()).toContain('taskiq.nightly\n  send exports\n    taskiq.export')
  })
})

describe('middleware', () => {
  it('stands around each run, and may fail it before the function is called', async () => {
    const closed: Middleware = async (task) => {
      throw new Error(`${task.name} is switched off`)
    }
    let called = false
    const run = cron(closed)('cleanup', () => {
      called = true
    })
    await expect(run()).rejects.toThrow('cleanup is switched off')
    expect(called).toBe(false)
  })

  it('that throws at a notice is counted; the run goes on', async () => {
    const { t, faults } = await record()
    const deaf: Middleware = Object.assign((_: unknown, next: () => Promise<unknown>) => next(), {
      notice() {
        throw new Error('deaf')
      },
    })
    const { open, opened } = gate()
    const run = cron(t, deaf)('cleanup', () => opened, { schedule: '* * * * *' })
    const runs = [run(), run()]
    open()
    await expect(Promise.all(runs)).resolves.toHaveLength(2)
    expect(await faults()).toBe(2) // the plan, and the overlap
  })

  it.each([...FAULTY, ...FAULTY_ON_FAILURE])('runs all the same when $title throws', async ({ options, arrange }) => {
    const { t } = await record(options)
    arrange?.()
    const tick = cron(t)
    const thrown = new SweepError('disk full')
    const run = tick('cleanup', (ok: boolean) => (ok ? 'done' : Promise.reject(thrown)), { schedule: '* * * * * *' })
    for (let n = 0; n < 3; n++) {
      expect(await run(true)).toBe('done')
      await expect(run(false)).rejects.toBe(thrown)
    }
  })
})
