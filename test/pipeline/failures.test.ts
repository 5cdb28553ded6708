// How a pipeline fails: clearly, once, with nothing left running, open or unheard.
import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { around, compose, currentTask, type Middleware, RejectedError, reject } from 'taskspan'
import { PipelineError, type PipelineReport, pipeline, StepTimeoutError } from 'taskspan/pipeline'
import { tracing } from 'taskspan/tracing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { gate, runner, turns } from '../support/run.ts'

const unheard: unknown[] = []
const hear = (reason: unknown) => void unheard.push(reason)
beforeAll(() => void process.on('unhandledRejection', hear))
afterAll(async () => {
  await turns()
  process.off('unhandledRejection', hear)
  expect(unheard).toEqual([])
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const boom = new Error('boom')
const fail = () => {
  throw boom
}

async function errorOf(run: Promise<unknown>): Promise<PipelineError> {
  const error: unknown = await run.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(PipelineError)
  return error as PipelineError
}

describe('the first failure', () => {
  it('rejects with the step, its attempt, its own error and the outputs so far', async () => {
    const error = await errorOf(
      pipeline<number>('p')
        .step('first', ({ input }) => input)
        .step('second', ['first'], async () => fail())
        .step('third', ['second'], () => {})
        .run(5, { id: 'r-1' }),
    )
    expect(error).toMatchObject({ code: 'PIPELINE_FAILED', pipeline: 'p', runId: 'r-1', step: 'second', attempt: 1 })
    expect(error.cause).toBe(boom)
    expect(error.message).toContain("pipeline 'p': step 'second' failed on attempt 1: boom.")
    expect(error.outputs).toEqual({ first: 5 })
    expect(JSON.stringify(error)).not.toContain('outputs') // printed and logged, and outputs are the user's data
  })

  const odd: Record<string, () => unknown> = {
    undefined: () => undefined,
    null: () => null,
    'a string': () => 'no',
    'a frozen error': () => Object.freeze(new Error('cold')),
    'an error whose getters throw': () =>
      Object.create(Error.prototype, { message: { get: fail }, name: { get: fail }, stack: { get: fail } }),
  }
  it.each(Object.keys(odd))('may be %s', async (kind) => {
    const thrown = odd[kind]?.()
    const run = pipeline('odd')
      .step('throws', () => {
        throw thrown
      })
      .run()
    expect((await errorOf(run)).cause === thrown).toBe(true)
  })

  it('aborts the others, which are awaited', async () => {
    const ended: string[] = []
    const sibling = gate()
    const run = pipeline('abort')
      .step('fails', async () => {
        await sibling.opened
        fail()
      })
      .step('listens', async ({ signal }) => {
        sibling.open()
        await once(signal, 'abort')
        expect(signal.reason).toBe(boom)
        await turns()
        ended.push('listens')
      })
      .step('next', ['listens'], () => void ended.push('next'))
      .run()
    const { failures, cause } = await errorOf(run)
    expect(cause).toBe(boom)
    expect(failures).toEqual([{ step: 'fails', attempt: 1, error: boom }])
    expect(ended).toEqual(['listens'])
    expect(run.report().steps.map(({ status }) => status)).toEqual(['failure', 'success', 'not_run'])
  })

  it('tells those that listen outside of itself: they are no part of the step that failed', async () => {
    const heard: unknown[] = []
    const run = pipeline('abort', tracing())
      .step('fails', async () => {
        await turns()
        fail()
      })
      .step('listens', async ({ signal }) => {
        signal.addEventListener('abort', () => heard.push(currentTask()?.kind, currentTask()?.name))
        await once(signal, 'abort')
      })
      .run()
    await errorOf(run)
    expect(heard).toEqual(['pipeline', 'abort'])
  })

  it('is told before what the others throw because of the abort; those that echo its reason are left out', async () => {
    const own = new Error('own trouble')
    const run = pipeline('echo')
      .step('fails', async () => fail())
      .step('echoes', async ({ signal }) => {
        await once(signal, 'abort')
        throw signal.reason
      })
      .step('own', async ({ signal }) => {
        await once(signal, 'abort')
        throw own
      })
      .run()
    const { failures, cause } = await errorOf(run)
    expect(cause).toBe(boom)
    expect(failures.map(({ step, error }) => [step, error])).toEqual([
      ['fails', boom],
      ['own', own],
    ])
    expect(run.report().steps.map(({ status }) => status)).toEqual(['failure', 'cancelled', 'cancelled'])
  })

  it('does not reject before a sibling that started in the same moment has ended', async () => {
    let ended = false
    const run = pipeline('same')
      .step('slow', async () => {
        await turns()
        ended = true
      })
      .step('fails', fail)
      .run()
    await errorOf(run)
    expect(ended).toBe(true)
  })

  it('with continue lets everything run that does not need it, and rejects at the end', async () => {
    const run = pipeline('on')
      .options({ onFailure: 'continue' })
      .step('fails', fail)
      .step('needs_it', ['fails'], () => 'no')
      .step('needs_that', ['needs_it'], () => 'no')
      .step('other', async () => turns())
      .step('after_other', ['other'], async () => 'yes')
      .step('lenient', ['fails'], () => 'no', { optional: true })
      .step('after_lenient', ['lenient'], ({ lenient }) => [lenient])
      .step('fails_too', ['after_other'], () => Promise.reject(new Error('later')))
      .run(undefined, { keep: true })
    const { cause, failures, outputs } = await errorOf(run)
    expect(cause).toBe(boom)
    expect(failures.map(({ step }) => step)).toEqual(['fails', 'fails_too'])
    expect(outputs).toEqual({ other: undefined, after_other: 'yes', after_lenient: [undefined] })
    expect(run.report().steps.map(({ status, reason }) => reason ?? status)).toEqual([
      'failure',
      'needs_failed',
      'needs_failed',
      'success',
      'success',
      'needs_failed',
      'success',
      'failure',
    ])
  })
})

describe('an optional step', () => {
  it('that fails gives its dependants undefined, and the run succeeds', async () => {
    const run = pipeline('optional')
      .step('fails', async (): Promise<number> => fail(), { optional: true })
      .step('after', ['fails'], ({ fails }) => [fails])
      .run()
    expect(await run).toEqual({ after: [undefined] })
    expect(run.report().outcome).toBe('success')
    expect(run.report().steps[0]?.status).toBe('failure')
  })
})

describe('a skip', () => {
  it('skips the dependants with its reason, and leaves holes in what is returned', async () => {
    const ran: string[] = []
    const run = pipeline<number>('skip')
      .step('probe', ({ input }) => input)
      .step('skipped', ['probe'], () => ran.push('skipped'), { skip: ({ probe }) => probe > 3 && 'too long' })
      .step('after', ['skipped'], () => ran.push('after'))
      .step('kept', ['probe'], () => ran.push('kept'), { skip: async () => false })
      .run(5)
    expect(await run).toEqual({ after: undefined, kept: 1 })
    expect(ran).toEqual(['kept'])
    expect(run.report().steps.map(({ reason }) => reason)).toEqual([undefined, 'too long', 'too long', undefined])
  })

  it('needs a reason: null is none', async () => {
    const run = pipeline('plain')
      .step('kept', () => 1, { skip: () => null as never })
      .run()
    expect(await run).toEqual({ kept: 1 })
  })

  it('of an optional step gives its dependants undefined', async () => {
    const outputs = await pipeline('lenient')
      .step('skipped', () => 5, { skip: () => 'no', optional: true })
      .step('after', ['skipped'], ({ skipped }) => [skipped])
      .run()
    expect(outputs).toEqual({ after: [undefined] })
  })

  it('that is still being decided when the run stops lets nothing start', async () => {
    const caller = new AbortController()
    const ran: string[] = []
    const skip = async () => {
      caller.abort(boom)
      return false as const
    }
    const run = pipeline('p')
      .step('asks', () => void ran.push('asks'), { skip })
      .run(undefined, { signal: caller.signal })
    expect(await errorOf(run)).toMatchObject({ code: 'PIPELINE_CANCELLED', cause: boom, failures: [] })
    expect(ran).toEqual([])
    expect(run.report().steps).toMatchObject([{ status: 'cancelled' }])
  })

  it('that throws fails its step', async () => {
    const { step, cause } = await errorOf(
      pipeline('p')
        .step('asks', () => 5, { skip: fail })
        .run(),
    )
    expect([step, cause]).toEqual(['asks', boom])
  })
})

describe('retries', () => {
  const quick = { backoff: { initialMs: 1, jitter: false } } as const

  it('repeat a failed attempt, told which it is, until it succeeds', async () => {
    const attempts: number[] = []
    const { flaky } = await pipeline('flaky')
      .step(
        'flaky',
        async ({ attempt }) => {
          attempts.push(attempt)
          if (attempt < 3) throw new TypeError('not yet') // also a TypeError
          return 'done'
        },
        { retries: 5, ...quick },
      )
      .run()
    expect([flaky, attempts]).toEqual(['done', [1, 2, 3]])
  })

  it('that are used up reject with the last attempt', async () => {
    const thrown = ['a', 'b', 'c'].map((message) => new Error(message))
    const error = await errorOf(
      pipeline('p')
        .step('fails', ({ attempt }) => Promise.reject(thrown[attempt - 1]), { retries: 2, ...quick })
        .run(),
    )
    expect(error).toMatchObject({ attempt: 3, cause: thrown[2] })
  })

  it.each([
    ['reject()', reject('malformed')],
    ['UnrecoverableError', Object.assign(new Error('never'), { name: 'UnrecoverableError' })],
  ])('do not repeat what %s says is final', async (_, thrown) => {
    let attempts = 0
    const run = pipeline('final')
      .step(
        'fails',
        () => {
          attempts++
          return Promise.reject(thrown)
        },
        { retries: 5, ...quick },
      )
      .run()
    await expect(run).rejects.toThrow()
    expect(attempts).toBe(1)
  })

  it('give their place to others while they wait', async () => {
    const ran: string[] = []
    await pipeline('place')
      .options({ concurrency: 1 })
      .step(
        'flaky',
        ({ attempt }) => {
          ran.push(`flaky ${attempt}`)
          if (attempt === 1) throw boom
        },
        { retries: 1, ...quick },
      )
      .step('other', () => void ran.push('other'))
      .run()
    expect(ran).toEqual(['flaky 1', 'other', 'flaky 2'])
  })

  it('end with the abort, also in the middle of a long wait', async () => {
    const failed = gate()
    const run = pipeline('long')
      .step(
        'waits',
        () => {
          failed.open()
          return Promise.reject(new Error('again'))
        },
        {
          retries: 3,
          backoff: { initialMs: 3_600_000, maxMs: 3_600_000 },
        },
      )
      .step('fails', async () => {
        await failed.opened
        await turns()
        fail()
      })
      .run()
    expect((await errorOf(run)).cause).toBe(boom)
    expect(run.report().steps.map(({ status, attempt }) => [status, attempt])).toEqual([
      ['cancelled', 1],
      ['failure', 1],
    ])
  })

  it('wait no longer than a timer can be set for, which would else fire at once', async () => {
    const caller = new AbortController()
    let attempts = 0
    const run = pipeline('patient')
      .step('fails', () => ++attempts && fail(), { retries: 5, backoff: { initialMs: 2 ** 31, maxMs: 2 ** 32 } })
      .run(undefined, { signal: caller.signal })
    await new Promise((resolve) => setTimeout(resolve, 50))
    caller.abort()
    await run.catch(() => {})
    expect(attempts).toBe(1)
  })

  it('start no attempt when the run stops in the moment that gives them a place', async () => {
    const ran: string[] = []
    const [failed, ended] = [gate(), gate()]
    const run = pipeline('moment')
      .options({ concurrency: 2 })
      .step(
        'flaky',
        ({ attempt }) => {
          ran.push(`flaky ${attempt}`)
          failed.open()
          if (attempt === 1) throw new Error('again')
        },
        { retries: 1, backoff: { initialMs: 0 } },
      )
      .step('gives', () => ended.opened.then(() => {}))
      .step('breaks', () => ended.opened.then(fail))
      .run()
    await failed.opened
    await new Promise((resolve) => setTimeout(resolve, 20)) // its wait is over, and it has no place
    ended.open()
    expect((await errorOf(run)).cause).toBe(boom)
    expect(ran).toEqual(['flaky 1'])
  })
})

describe('a time-out', () => {
  /** Goes on until it is stopped. */
  const nested = pipeline('nested')
    .step('waits', ({ signal }) => once(signal, 'abort'))
    .step('next', ['waits'], () => {})

  it('ends a step that never settles, and names it', async () => {
    const error = await errorOf(
      pipeline('hang')
        .step('hangs', () => new Promise(() => {}), { timeoutMs: 20 })
        .run(),
    )
    expect(error).toMatchObject({ step: 'hangs', cause: { code: 'STEP_TIMED_OUT', step: 'hangs' } })
    expect(error.message).toContain("step 'hangs' did not end within 20 ms")
  })

  it('ends a skip that never settles', async () => {
    const error = await errorOf(
      pipeline('hang')
        .step('asks', () => 5, { timeoutMs: 20, skip: () => new Promise<false>(() => {}) })
        .run(),
    )
    expect(error.cause).toBeInstanceOf(StepTimeoutError)
  })

  it.each([false, 'too late'] as const)('ends a skip that answers %s later: its attempt is over', async (answer) => {
    const asked = gate()
    const ran: number[] = []
    const skip = async ({ attempt }: { attempt: number }) => {
      if (attempt > 1) return false
      await asked.opened
      return answer
    }
    const again = async ({ attempt }: { attempt: number }) => {
      ran.push(attempt)
      asked.open()
      await turns()
    }
    const run = pipeline('slow')
      .step('asks', again, { timeoutMs: 20, retries: 1, backoff: { initialMs: 0 }, skip })
      .run()
    await run
    expect(ran).toEqual([2])
    expect(run.report().steps).toMatchObject([{ status: 'success', reason: undefined }])
  })

  it('whose next attempt the caller did not wait for is no failure: the run was cancelled', async () => {
    const caller = new AbortController()
    const run = pipeline('waits')
      .step('hangs', ({ signal }) => once(signal, 'abort'), {
        timeoutMs: 5,
        retries: 1,
        backoff: { initialMs: 3_600_000, maxMs: 3_600_000 },
      })
      .run(undefined, { signal: caller.signal })
    await expect.poll(() => run.report().steps[0]?.status, { interval: 5 }).toBe('waiting')
    caller.abort(boom)
    expect(await errorOf(run)).toMatchObject({ code: 'PIPELINE_CANCELLED', cause: boom, step: undefined })
    expect(run.report()).toMatchObject({ outcome: 'cancelled', steps: [{ status: 'cancelled', attempt: 1 }] })
  })

  it('aborts the signal of that attempt alone, and what it throws later is not felt', async () => {
    const signals: AbortSignal[] = []
    const run = pipeline('late')
      .step(
        'late',
        async ({ signal, attempt }) => {
          signals.push(signal)
          if (attempt === 2) return 'second'
          await once(signal, 'abort')
          throw new Error('too late to be told')
        },
        { timeoutMs: 200, retries: 1, backoff: { initialMs: 1 } },
      )
      .run()
    expect(await run).toEqual({ late: 'second' })
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
    expect(run.report().steps[0]).toMatchObject({ status: 'success', attempt: 2 })
  })

  it('stops what runs inside of that attempt: a nested pipeline, with no signal passed to it', async () => {
    const inner: Promise<unknown>[] = []
    const run = pipeline('outer')
      .step(
        'limited',
        async ({ attempt }) => {
          if (attempt === 2) return 'second'
          const one = nested.run()
          inner.push(one.catch((error: unknown) => error))
          return await one
        },
        { timeoutMs: 50, retries: 1, backoff: { initialMs: 1 } },
      )
      .run()
    expect(await run).toEqual({ limited: 'second' })
    expect(await inner[0]).toMatchObject({
      code: 'PIPELINE_CANCELLED',
      cause: { code: 'STEP_TIMED_OUT', step: 'limited' },
    })
  })

  it('may have many pipelines inside of it, as a final step may, without a warning of too many listeners', async () => {
    const warned: unknown[] = []
    const warn = (warning: Error) => void warned.push(warning.name)
    process.on('warning', warn)
    const brief = pipeline('brief').step('waits', () => turns())
    const many = () => Promise.all(Array.from({ length: 30 }, () => brief.run()))
    await pipeline('many').step('limited', many, { timeoutMs: 5_000 }).finally('last', many).run()
    await turns()
    process.off('warning', warn)
    expect(warned).toEqual([])
  })

  it.each([0, 1])('is one, with %s retries, also where a middleware throws another error for it', async (retries) => {
    const words: unknown[] = []
    const wraps: Middleware = async (_, next) => {
      try {
        return await next()
      } catch (cause) {
        throw new Error('wrapped', { cause })
      }
    }
    const hears = around({ part: 'mine', end: ({ name }, { outcome }) => void words.push(`${name} ${outcome}`) })
    const never = () => new Promise(() => {})
    const run = pipeline('wrapped', compose(hears, wraps))
      .step('limited', never, { timeoutMs: 20, optional: true, retries, backoff: { initialMs: 1 } })
      .step('next', ['limited'], () => 'ran')
      .run()
    expect(await run).toEqual({ next: 'ran' })
    expect(run.report().steps[0]).toMatchObject({ status: 'timeout', attempt: retries + 1 })
    expect(words.filter((word) => word === 'limited timeout')).toHaveLength(retries + 1)
  })

  it("passes the abort of the run on to a middleware that waits before the step's function", async () => {
    const waits: Middleware = async (task, next) => {
      if (task.name === 'limited') await once(task.signal as AbortSignal, 'abort')
      task.signal?.throwIfAborted()
      return next()
    }
    const run = pipeline('waits', waits)
      .step('limited', () => {}, { timeoutMs: 5_000 })
      .step('fails', fail)
      .run()
    await errorOf(run)
    expect(run.report().steps.map(({ status }) => status)).toEqual(['cancelled', 'failure'])
  })

  it('keeps nothing of a step that listens to its signal, once the run has ended', async () => {
    const seen: WeakRef<object>[] = []
    for (let n = 0; n < 3; n++) {
      await pipeline('listens')
        .step(
          'waits',
          ({ signal }) => {
            const clip = { bytes: new Uint8Array(1_000) }
            const task = currentTask()
            signal.addEventListener('abort', () => void [clip, task])
            seen.push(new WeakRef(clip))
          },
          { timeoutMs: 60_000 },
        )
        .run()
    }
    await turns()
    collect()
    expect(seen.map((reference) => reference.deref())).toEqual([undefined, undefined, undefined])
  })

  it('lets the abort of the run stop a pipeline that the step has started and not waited for', async () => {
    const inner: Promise<unknown>[] = []
    const run = pipeline('outer')
      .step('starts', () => void inner.push(nested.run().catch((error: unknown) => error)), { timeoutMs: 60_000 })
      .step('fails', ['starts'], fail)
      .run()
    await errorOf(run)
    expect(await inner[0]).toMatchObject({ code: 'PIPELINE_CANCELLED', cause: boom })
  })

  it('passes the abort of the run on', async () => {
    const started = gate()
    const run = pipeline('passes')
      .step(
        'timed',
        ({ signal }) => {
          started.open()
          return once(signal, 'abort')
        },
        { timeoutMs: 60_000 },
      )
      .step('fails', async () => {
        await started.opened
        fail()
      })
      .run()
    expect((await errorOf(run)).cause).toBe(boom)
  })
})

describe("the caller's signal", () => {
  it('that was aborted before the start starts nothing, and final steps still run', async () => {
    const ran: string[] = []
    const run = pipeline('before')
      .step('never', () => void ran.push('never'))
      .finally('always', ({ outcome }) => void ran.push(outcome))
      .run(undefined, { signal: AbortSignal.abort(boom) })
    expect(await errorOf(run)).toMatchObject({ code: 'PIPELINE_CANCELLED', cause: boom, step: undefined })
    expect(ran).toEqual(['cancelled'])
    expect(run.report()).toMatchObject({ outcome: 'cancelled', steps: [{ status: 'not_run' }, { status: 'success' }] })
  })

  it('cancels: steps are told and awaited, and nothing else starts', async () => {
    const caller = new AbortController()
    const run = pipeline('cancel')
      .step('listens', async ({ signal }) => {
        caller.abort(boom)
        expect(signal.reason).toBe(boom)
        throw signal.reason
      })
      .step('next', ['listens'], () => {})
      .run(undefined, { signal: caller.signal })
    expect(await errorOf(run)).toMatchObject({ code: 'PIPELINE_CANCELLED', cause: boom, failures: [] })
  })

  it('that comes when all steps are through changes nothing', async () => {
    const caller = new AbortController()
    const run = pipeline('late')
      .step('last', async () => caller.abort())
      .run(undefined, { signal: caller.signal })
    expect(await run).toEqual({ last: undefined })
  })

  it('keeps no listener of ours', async () => {
    const { signal } = new AbortController()
    const added: unknown[] = []
    const removed: unknown[] = []
    signal.addEventListener = (_: string, listener: unknown) => void added.push(listener)
    signal.removeEventListener = (_: string, listener: unknown) => void removed.push(listener)
    await pipeline('clean')
      .step('only', () => 5, { timeoutMs: 1_000 })
      .run(undefined, { signal })
    expect(added).toHaveLength(1)
    expect(removed).toEqual(added)
  })

  it('is, where none is given, that of the task around the run, and of the step around a nested one', async () => {
    const closing = new AbortController()
    const listens = pipeline('inner').step('listens', async ({ signal }) => {
      closing.abort(boom)
      expect(signal.reason).toBe(boom)
    })
    const inner: PipelineError[] = []
    const outer = pipeline('outer')
      .step('nests', async () => inner.push(await errorOf(listens.step('never', ['listens'], () => {}).run(undefined))))
      .step('next', ['nests'], () => {})
    const run = runner((_task, next) => next())({}, () => outer.run(undefined), closing.signal)
    expect(await errorOf(run)).toMatchObject({ code: 'PIPELINE_CANCELLED', cause: boom, pipeline: 'outer' })
    expect(inner).toMatchObject([{ code: 'PIPELINE_CANCELLED', cause: boom, pipeline: 'inner' }])
  })

  it('that is given holds, whatever the task around the run has', async () => {
    const { signal } = new AbortController()
    const run = runner((_task, next) => next())(
      {},
      () =>
        pipeline('own')
          .step('only', () => 5)
          .run(undefined, { signal }),
      AbortSignal.abort(boom),
    )
    expect(await run).toEqual({ only: 5 })
  })

  it('may be listened to by a thousand steps without a warning', async () => {
    const warnings: unknown[] = []
    const warn = (warning: unknown) => void warnings.push(warning)
    process.on('warning', warn)
    const caller = new AbortController()
    const listen = async ({ signal }: { signal: AbortSignal }) => {
      await once(signal, 'abort')
    }
    const many = Array.from({ length: 1_000 }, (_, at) => ({
      id: `s${at}`,
      run: listen,
      options: { timeoutMs: 60_000 },
    }))
    const run = pipeline('many').steps(many).run(undefined, { signal: caller.signal })
    await turns()
    caller.abort()
    await run
    await turns()
    process.off('warning', warn)
    expect(warnings).toEqual([])
  })
})

describe('final steps', () => {
  it('run after a failure, with its error, and are not cancelled by it', async () => {
    let seen: unknown[] = []
    const error = await errorOf(
      pipeline('finals')
        .step('fails', fail)
        .finally('after', ['fails'], async ({ outcome, error, signal, fails }) => {
          await turns()
          seen = [outcome, error, signal.aborted, fails]
        })
        .run(),
    )
    expect(seen).toEqual(['failure', error, false, undefined])
  })

  it('that fail reject the run, and do not hide an earlier failure; the others still run', async () => {
    const ran: string[] = []
    const late = new Error('late')
    const base = pipeline<boolean>('late')
      .step('may_fail', ({ input }) => (input ? fail() : 5))
      .finally('fails', () => Promise.reject(late), { retries: 1, backoff: { initialMs: 1 } })
      .finally('runs', () => void ran.push('runs'))
    expect(await errorOf(base.run(false))).toMatchObject({ step: 'fails', attempt: 2, cause: late })
    expect(await errorOf(base.run(true))).toMatchObject({
      step: 'may_fail',
      cause: boom,
      failures: [{ step: 'may_fail' }, { step: 'fails' }],
    })
    expect(ran).toEqual(['runs', 'runs'])
  })

  it('that hang end with their time-out', async () => {
    const error = await errorOf(
      pipeline('hang')
        .step('works', () => 5)
        .finally('hangs', () => new Promise(() => {}), { timeoutMs: 20 })
        .run(),
    )
    expect(error).toMatchObject({ step: 'hangs', cause: { code: 'STEP_TIMED_OUT' } })
  })
})

describe('inside of a task', () => {
  const onion = () => runner(async (_, next) => next())
  const deferred = Object.assign(new Error('later'), { name: 'DelayedError' })

  it('passes the control flow of its broker on as it is', async () => {
    const run = runner(async (_, next) => next(), { judge: (error) => (error === deferred ? 'deferred' : 'failure') })
    const inside = () =>
      pipeline('flow')
        .step('defers', () => Promise.reject(deferred), { retries: 3, optional: true })
        .step('other', async ({ signal }) => once(signal, 'abort'))
        .run()
    await expect(run({}, inside)).rejects.toBe(deferred)
  })

  it('passes control flow and a refusal on as they are, also from a final step', async () => {
    const run = runner(async (_, next) => next(), { judge: (error) => (error === deferred ? 'deferred' : 'failure') })
    const ends = (thrown: Error) =>
      pipeline('ends')
        .step('works', () => 5)
        .finally('closes', () => Promise.reject(thrown))
    const refusal = reject('expired')
    let report: (() => PipelineReport) | undefined
    const inside = (thrown: Error) => () => {
      const running = ends(thrown).run()
      report = running.report
      return running
    }
    await expect(run({}, inside(refusal))).rejects.toBe(refusal)
    await expect(run({}, inside(deferred))).rejects.toBe(deferred)
    expect(report?.()).toMatchObject({ outcome: 'cancelled', steps: [{ status: 'success' }, { status: 'cancelled' }] })
  })

  it('passes a refusal on as it is', async () => {
    const refusal = reject('malformed', 'no clip')
    const inside = () =>
      pipeline('refuse')
        .step('reads', () => Promise.reject(refusal))
        .run()
    await expect(onion()({}, inside)).rejects.toBe(refusal)
    expect(refusal).toBeInstanceOf(RejectedError)
  })

  it('takes the name of an UnrecoverableError, by which BullMQ decides, through nested pipelines', async () => {
    const never = Object.assign(new Error('never'), { name: 'UnrecoverableError' })
    const inner = pipeline('inner').step('fails', () => Promise.reject(never))
    const outer = pipeline('outer').step('calls', () => inner.run(), { retries: 2 })
    const error = await errorOf(onion()({}, () => outer.run()))
    expect(error).toMatchObject({ name: 'UnrecoverableError', step: 'calls', attempt: 1 })
    expect(error.cause).toMatchObject({ step: 'fails', cause: never })
  })
})

describe("a middleware of the user's", () => {
  it('that fails a step fails it, also where it throws at once', async () => {
    const strict = (task: { kind: string }, next: () => Promise<unknown>) => {
      if (task.kind === 'step') throw boom
      return next()
    }
    const error = await errorOf(
      pipeline('strict', strict)
        .step('only', () => 5)
        .run(),
    )
    expect(error).toMatchObject({ step: 'only', cause: boom })
  })

  it.each<[string, Middleware, object]>([
    ['lets nothing begin', async () => fail(), { outcome: 'failure', steps: [{ status: 'not_run' }] }],
    [
      'puts its own word in the place of the run',
      async () => 5,
      { outcome: 'success', steps: [{ status: 'not_run' }] },
    ],
    [
      'is not content with how it ended',
      (_, next) => next().then(fail),
      { outcome: 'failure', steps: [{ status: 'success' }] },
    ],
  ])('that %s: the report has ended too', async (_, middleware, report) => {
    const around: Middleware = (task, next) => (task.kind === 'pipeline' ? middleware(task, next) : next())
    const run = pipeline('around', around)
      .step('only', () => 5)
      .run()
    await run.catch(() => {})
    expect(run.report()).toMatchObject(report)
    expect(run.report().durationMs).toBe(run.report().durationMs)
  })

  it('reads in the report how the run has ended, also where its input is refused or a final step fails', async () => {
    const seen: string[] = []
    let report: (() => PipelineReport) | undefined
    const reads: Middleware = async (task, next) => {
      try {
        return await next()
      } finally {
        if (task.kind === 'pipeline' && report !== undefined) seen.push(report().outcome)
      }
    }
    const validate = () => ({ issues: [{ message: 'no' }] })
    const refuses = pipeline('refuses', reads).input({ '~standard': { version: 1, vendor: 'own', validate } })
    const closes = pipeline('closes', reads).finally('close', fail)
    for (const run of [refuses.step('only', () => 5).run(undefined as never), closes.step('only', () => 5).run()]) {
      report = run.report
      await run.catch(() => {})
    }
    expect(seen).toEqual(['failure', 'failure'])
  })
})
