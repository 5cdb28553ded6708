// The user's error tracker hears of each final failure once, and cannot harm a task.
import { trace } from '@opentelemetry/api'
import { compose, type Middleware, type Outcome, reject, type Task } from 'taskspan'
import { telemetry } from 'taskspan/telemetry'
import { recordSpans } from 'taskspan/testing'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createTask } from '../../src/kernel/create-task.ts'
import { faultsOf } from '../support/faults.ts'
import { runner, taskOf, turns } from '../support/run.ts'

const off = { tracing: false, metrics: false, logging: false } as const
const swallowed = { settle: () => {} }
const error = new RangeError('no')
const failing = (): never => {
  throw error
}

it('is called once per final failure, with the very error and the task', async () => {
  const onFailure = vi.fn()
  await runner(telemetry({ ...off, onFailure }), swallowed)({ id: '7' }, failing)
  expect(onFailure).toHaveBeenCalledTimes(1)
  const [given, task] = onFailure.mock.calls[0] as [unknown, Task]
  expect(given).toBe(error)
  expect(task).toMatchObject({ name: 'render', id: '7', ending: { outcome: 'failure' } })
})

it.each<Outcome>(['retry', 'deferred'])('is not called for %s', async (outcome) => {
  const onFailure = vi.fn()
  await runner(telemetry({ ...off, onFailure }), { ...swallowed, judge: () => outcome })({}, failing)
  expect(onFailure).not.toHaveBeenCalled()
})

it('is not called for a success, a rejection, a cancellation, a step or a pipeline', async () => {
  const onFailure = vi.fn()
  const t = telemetry({ ...off, onFailure })
  const run = runner(t, swallowed)
  await run()
  await run({}, () => Promise.reject(reject('expired')))
  await run({}, failing, AbortSignal.abort())
  for (const kind of ['step', 'pipeline'] as const) {
    await t(createTask(kind, { name: 'download', queue: 'analysis' }), async () => failing()).catch(() => {})
  }
  expect(onFailure).not.toHaveBeenCalled()
})

it('is called for final failures that no run saw', async () => {
  const onFailure = vi.fn()
  const t = telemetry({ ...off, onFailure })
  const task = await taskOf()
  t.notice?.({ kind: 'failed', task, error })
  t.notice?.({ kind: 'gave_up', task, error })
  t.notice?.({ kind: 'lost', task, error, final: true })
  t.notice?.({ kind: 'lost', task, error, final: false })
  expect(onFailure.mock.calls).toEqual([
    [error, task],
    [error, task],
    [error, task],
  ])
})

it('is called inside of the span of the task', async () => {
  await using spans = recordSpans()
  const seen: unknown[] = []
  const onFailure = (): unknown => seen.push(trace.getActiveSpan()?.spanContext().spanId)
  await runner(telemetry({ ...off, tracing: true, onFailure }), swallowed)({}, failing)
  expect(seen).toEqual([spans.one('taskiq.render').spanId])
})

it('is not waited for', async () => {
  const onFailure = (): Promise<void> => new Promise(() => {})
  await runner(telemetry({ ...off, onFailure }), swallowed)({}, failing)
})

it.each<[string, () => unknown]>([
  ['throws', failing],
  ['rejects', () => Promise.reject(new Error('tracker is down'))],
  // biome-ignore lint/suspicious/noThenProperty: a thenable is what this is about
  ['gives a thenable that throws', () => ({ then: failing })],
])('harms nothing when it %s, and is counted', async (_, onFailure) => {
  const unhandled = vi.fn()
  process.on('unhandledRejection', unhandled)
  onTestFinished(() => void process.off('unhandledRejection', unhandled))
  const faults = faultsOf('on_failure', 'callback')
  const own = new Error('the task’s own')
  await expect(runner(telemetry({ ...off, onFailure }))({}, () => Promise.reject(own))).rejects.toBe(own)
  await turns()
  expect(faults()).toBe(1)
  expect(unhandled).not.toHaveBeenCalled()
})

it('hears of what middleware inside makes of a task, not of what saves it', async () => {
  const onFailure = vi.fn()
  const saving: Middleware = (_, next) => next().catch(() => 'saved')
  expect(await runner(compose(telemetry({ ...off, onFailure }), saving))({}, failing)).toBe('saved')
  expect(onFailure).not.toHaveBeenCalled()
})
