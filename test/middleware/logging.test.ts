// One line per task that says how it ended: message, level, fields, and the fields of lines written inside.

import { pino } from 'pino'
import { compose, type Middleware, type Outcome, reject, type TaskFields } from 'taskspan'
import { bind, log, logging, mixin } from 'taskspan/logging'
import { type LogLine, recordLogs, recordSpans } from 'taskspan/testing'
import { tracing } from 'taskspan/tracing'
import { describe, expect, it } from 'vitest'
import { createTask } from '../../src/kernel/create-task.ts'
import { faultsOf } from '../support/faults.ts'
import { runner, taskOf, turns } from '../support/run.ts'

const fail = (error: unknown) => (): never => {
  throw error
}
const swallowed = { settle: () => {} }

function recording(options: Parameters<typeof logging>[0] = {}, ...around: Middleware[]) {
  const logs = recordLogs()
  const l = logging({ logger: logs.logger, ...options })
  return { logs, l, run: runner(compose(...around, l), swallowed) }
}

const ENVELOPE = ['level', 'timestamp', 'service', 'environment', 'message']
const withoutEnvelope = (line: LogLine | undefined): object =>
  Object.fromEntries(Object.entries(line ?? {}).filter(([key]) => !ENVELOPE.includes(key)))

describe('the line of a task', () => {
  it('has every field that is known, and no other', async () => {
    await using spans = recordSpans()
    const { logs, run } = recording({}, tracing())
    await run(
      {
        ...{ id: '7', type: 'cron', attempt: 2, maxAttempts: 5, priority: 3, waitMs: 120, schedule: { id: 'nightly' } },
        carrier: {},
      },
      () => ({ card: 4242 }),
    )
    const { traceId, spanId } = spans.one('taskiq.render')
    const known = {
      ...{ trace_id: traceId, span_id: spanId, task_name: 'render', task_id: '7', task_type: 'cron', queue: 'clips' },
      ...{ attempt: 2, max_attempts: 5, priority: 3, wait_ms: 120, schedule_id: 'nightly' },
    }
    expect(logs.lines.map(withoutEnvelope)).toEqual([
      known,
      { ...known, outcome: 'success', duration_ms: expect.any(Number) },
    ])
    expect(logs.lines.map(({ level, message }) => [level, message])).toEqual([
      ['debug', 'task.started'],
      ['info', 'task.succeeded'],
    ])
  })

  it('has nothing that is not known', async () => {
    const { logs, run } = recording()
    await run()
    expect(withoutEnvelope(logs.named('task.succeeded')[0])).toEqual({
      ...{ task_name: 'render', task_type: 'on_demand', queue: 'clips', attempt: 1 },
      ...{ outcome: 'success', duration_ms: expect.any(Number) },
    })
  })

  const error = { type: 'RangeError', message: 'no', stack: expect.stringContaining('logging.test.ts'), code: 'E_NO' }

  it.each<[Outcome, string, string, object]>([
    ['failure', 'error', 'task.failed', { will_retry: false, error }],
    ['retry', 'warning', 'task.retrying', { will_retry: true, error }],
    ['deferred', 'info', 'task.deferred', { will_retry: false, error }],
    ['cancelled', 'info', 'task.cancelled', { will_retry: false, error }],
  ])('%s: level %s, message %s', async (outcome, level, message, fields) => {
    const { logs, l } = recording()
    const run = runner(l, { ...swallowed, judge: () => outcome })
    await run({}, fail(Object.assign(new RangeError('no'), { code: 'E_NO' })))
    expect(logs.lines.map((line) => line.message)).toEqual(['task.started', message])
    expect(logs.lines[1]).toMatchObject({ level, outcome, ...fields })
  })

  it('says what becomes of the message where the adapter knows it', async () => {
    const { logs, l } = recording()
    const run = runner(l, {
      ...swallowed,
      judge(_, __, task) {
        task.fate = 'dead-lettered'
        return 'failure'
      },
    })
    await run({}, fail(new Error('no')))
    expect(logs.named('task.failed')).toMatchObject([{ reason: 'dead-lettered' }])
  })

  it.each<[string, unknown, object]>([
    ['undefined', undefined, { type: 'undefined', message: 'undefined' }],
    ['a text', 'no funds', { type: 'string', message: 'no funds' }],
    ['a frozen error', Object.freeze(new TypeError('no')), { type: 'TypeError', message: 'no' }],
    [
      'an error with a circular cause',
      (() => {
        const circular: Error & { cause?: unknown } = new Error('round')
        circular.cause = circular
        return circular
      })(),
      { type: 'Error', message: 'round' },
    ],
    [
      'getters that throw',
      {
        get message() {
          throw new Error('trap')
        },
      },
      { message: '' },
    ],
  ])('describes whatever was thrown: %s', async (_, thrown, expected) => {
    const { logs, run } = recording()
    await run({}, fail(thrown))
    expect(logs.named('task.failed')).toMatchObject([{ error: expected }])
  })

  it('is one line though the message is 5 MB', async () => {
    const { logs, run } = recording()
    await run({}, fail(new Error('错'.repeat(5_000_000))))
    expect(Buffer.byteLength(JSON.stringify(logs.named('task.failed')[0]))).toBeLessThan(32_768)
  })
})

it('says of a rejected message which and why, never what it holds', async () => {
  const { logs, run } = recording()
  const payload: Partial<TaskFields> = { id: '7', details: { card: '4242-4242' }, carrier: { secret: 'hunter2' } }
  await run(payload, fail(reject('malformed', 'No field `amount`.')))
  expect(logs.lines.map(({ level, message }) => [level, message])).toEqual([
    ['debug', 'task.started'],
    ['warning', 'message.rejected'],
  ])
  expect(logs.lines[1]).toMatchObject({ reason: 'malformed', outcome: 'rejected', will_retry: false, task_id: '7' })
  expect(logs.lines[1]?.error).toEqual({ type: 'Rejected', message: expect.stringMatching(/^No field `amount`\./) })
  expect(JSON.stringify(logs.lines)).not.toMatch(/4242|hunter2/)
})

describe('task.slow', () => {
  it('warns of a task that ran longer than slowAfterMs', async () => {
    const { logs, run } = recording({ slowAfterMs: 5 })
    await run({}, () => new Promise((resolve) => setTimeout(resolve, 20)))
    expect(logs.named('task.slow')).toMatchObject([{ level: 'warning', task_name: 'render' }])
    expect(logs.named('task.slow')[0]?.duration_ms).toBeGreaterThan(5)
  })

  it('is not said of others; the default is 30 seconds', async () => {
    const { logs, run } = recording()
    const times = [0, 29_999, 30_001]
    for (const durationMs of times) {
      const task = await taskOf()
      const l = logging({ logger: logs.logger })
      await l(task, async () => {
        task.ending = { outcome: 'success', threw: false, error: undefined, durationMs }
      })
    }
    await run()
    expect(logs.named('task.slow').map(({ duration_ms }) => duration_ms)).toEqual([30_001])
  })
})

describe('what no run can see', () => {
  it('a lost attempt, before the lines of the run that found it', async () => {
    const { logs, run } = recording()
    await run({ lost: 2 })
    expect(logs.lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
      ...['error task.lost', 'error task.lost', 'debug task.started', 'info task.succeeded'],
    ])
    expect(logs.named('task.lost')[0]).toMatchObject({ outcome: 'lost', reason: expect.stringMatching(/not known/) })
  })

  it.each([
    ['lost', 'task.lost', 'lost'],
    ['failed', 'task.failed', 'failure'],
    ['gave_up', 'task.failed', 'failure'],
  ] as const)('an event: %s', async (kind, message, outcome) => {
    const { logs, l } = recording()
    l.notice?.({ kind, task: await taskOf({ id: '7' }), error: new RangeError('stalled'), final: true })
    expect(logs.lines).toMatchObject([
      { message, outcome, level: 'error', task_id: '7', will_retry: false, error: { type: 'RangeError' } },
    ])
  })

  it('schedules and brokers', () => {
    const { logs, l } = recording()
    l.notice?.({ kind: 'schedule', event: 'missed', schedule: 'nightly', count: 3 })
    l.notice?.({ kind: 'schedule', event: 'overlapped', schedule: 'nightly', count: 1 })
    l.notice?.({ kind: 'broker', system: 'memory', queue: 'clips', event: 'lock_lost', error: new Error('gone') })
    expect(logs.lines).toMatchObject([
      { level: 'warning', message: 'cron.missed', schedule_id: 'nightly', count: 3 },
      { level: 'warning', message: 'cron.overlapped', schedule_id: 'nightly', count: 1 },
      { level: 'warning', message: 'broker.lock_lost', queue: 'clips', error: { message: 'gone' } },
    ])
  })

  it('a note about a running task', async () => {
    const { logs, l } = recording()
    const task = await taskOf({ id: '7' })
    l.notice?.({ kind: 'note', task, level: 'warn', name: 'step.waiting', details: { 'step.reason': 'slot' } })
    expect(logs.lines).toMatchObject([{ level: 'warning', message: 'step.waiting', task_id: '7', reason: 'slot' }])
  })
})

describe('steps and pipelines', () => {
  it('have messages of their own, and the fields of pipeline and run', async () => {
    const { logs, l } = recording()
    const details = { 'pipeline.run_id': 'r-1' }
    const step = createTask('step', { name: 'download', queue: 'analysis', attempt: 2, details })
    await l(step, async () => {
      step.endDetails = { 'step.skip_reason': 'cached' }
    })
    const pipeline = createTask('pipeline', { name: 'analysis', queue: 'analysis', details })
    await l(pipeline, async () => fail(new RangeError('no'))()).catch(() => {})
    expect(logs.lines.map(({ message }) => message)).toEqual([
      ...['step.started', 'step.succeeded', 'pipeline.started', 'pipeline.failed'],
    ])
    expect(logs.named('step.succeeded')).toMatchObject([{ outcome: 'success', reason: 'cached' }])
    expect(logs.named('pipeline.failed')[0]).not.toHaveProperty('will_retry')
  })
})

describe('log() inside a task', () => {
  it('adds trace, task and bound keys to every line, and nothing outside of one', async () => {
    await using spans = recordSpans()
    const { logs, run } = recording({}, tracing())
    log().info('outside')
    await run({ id: '7' }, async () => {
      await turns()
      bind({ shot: 3 }, () => log().warn({ frames: 9 }, 'inside %s', 'here'))
      log().info('after')
    })
    const { traceId, spanId } = spans.one('taskiq.render')
    const fields = {
      ...{ trace_id: traceId, span_id: spanId, task_name: 'render', task_id: '7', task_type: 'on_demand' },
      ...{ queue: 'clips', attempt: 1 },
    }
    expect(withoutEnvelope(logs.named('outside')[0])).toEqual({})
    expect(withoutEnvelope(logs.named('inside here')[0])).toEqual({ ...fields, shot: '3', frames: 9 })
    expect(withoutEnvelope(logs.named('after')[0])).toEqual(fields)
  })

  it('is right for nested and for interleaved tasks', async () => {
    const { logs, run } = recording()
    await run({ id: 'outer' }, async () => {
      await run({ id: 'inner' }, () => log().info('a'))
      log().info('b')
    })
    const idsOf = (message: string) => logs.named(message).map(({ task_id }) => task_id)
    expect([idsOf('a'), idsOf('b')]).toEqual([['inner'], ['outer']])
    const ids = Array.from({ length: 100 }, (_, at) => `t${at}`)
    await Promise.all(
      ids.map((id) =>
        run({ id }, async () => {
          await turns()
          bind({ own: id }, () => log().info('c'))
        }),
      ),
    )
    expect(logs.named('c').every(({ task_id, own }) => task_id === own)).toBe(true)
    expect(idsOf('c').sort()).toEqual(ids.sort())
  })

  it('keeps what a child of it binds, and what the line itself says wins', async () => {
    const { logs, run } = recording()
    await run({ id: '7' }, () => log().child({ shot: 3 }).info({ queue: 'mine' }, 'inside'))
    expect(logs.named('inside')).toMatchObject([{ task_id: '7', shot: 3, queue: 'mine' }])
  })

  it('is the logger of the logging() that was made last', async () => {
    const [one, two] = [recordLogs(), recordLogs()]
    const run = runner(logging({ logger: one.logger }))
    logging({ logger: two.logger })
    await run({ id: '7' }, () => log().info('inside'))
    expect(one.named('inside')).toEqual([])
    expect(two.named('inside')).toMatchObject([{ task_id: '7' }])
  })
})

describe('mixin', () => {
  it('gives a pino of the user the same fields, inside and outside', async () => {
    const theirs = recordLogs()
    const own = pino({ mixin }, theirs.destination)
    const { run } = recording()
    own.info('outside')
    await run({ id: '7' }, () => bind({ shot: 3 }, () => own.info('inside')))
    expect(theirs.named('inside')).toMatchObject([{ task_id: '7', task_name: 'render', shot: '3' }])
    expect(theirs.named('outside')[0]).not.toHaveProperty('task_name')
  })
})

describe('bind()', () => {
  it.each([
    ['nothing', undefined],
    ['what is no text and cannot become one', { request_id: 'r-1', user: Object.create(null) }],
    [
      'what cannot be read',
      {
        get user(): string {
          throw new Error('getter')
        },
      },
    ],
  ])('runs its code also where it is given %s, and counts that', (_, fields) => {
    const counted = faultsOf('logging', 'bind')
    expect(bind(fields as never, () => 7)).toBe(7)
    expect(counted()).toBe(1)
  })

  it('gives back what its function gives, and passes its error on', async () => {
    expect(bind({ a: 1 }, () => 7)).toBe(7)
    await expect(bind({ a: 1 }, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(() => bind({ a: 1 }, fail(new RangeError('no')))).toThrow(RangeError)
  })

  it('nests, the innermost winning, and cuts at 128 characters', () => {
    const seen = bind({ a: 'x'.repeat(500), b: 1 }, () => bind({ b: 2, c: true, d: undefined }, mixin))
    expect(seen).toEqual({ a: 'x'.repeat(128), b: '2', c: 'true' })
  })
})
