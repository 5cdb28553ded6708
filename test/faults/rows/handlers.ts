// Rows: whatever a handler throws or does. What the broker makes of it, what is said of it, and what must not be said.
import type { Fate, Lane } from '../bench/lane.ts'
import { CANARY, type Ending, endingsOf } from '../cases/endings.ts'
import { holds, ranOnce, rendering, same, sameFate, until } from '../cases/expect.ts'
import type { Bench, Case, Fault, Form, Place } from '../fault.ts'
import { sample } from '../fault.ts'

const MAX_SPAN_BYTES = 64 * 1024

/** Runs a handler to wherever it gets: to its end, into an error of the worker, or nowhere. */
async function run(lane: Lane, { end, truth }: Ending, attempts = 2): Promise<Fate> {
  const started = new Promise<void>((resolve) => {
    void lane.work(
      (delivery) => {
        if (delivery.id !== 'one') return rendering(delivery)
        resolve()
        return end(delivery)
      },
      { concurrency: 2 },
    )
  })
  await lane.put({ id: 'one', attempts, body: { card: CANARY } })
  await started
  if (truth === 'open' || truth === 'put off') return lane.look('one')
  return lane.outcome('one')
}

const casesOf = (place: Place, form: Form, judge: (bench: Bench, ending: Ending) => Promise<void>): Case[] => {
  const all = endingsOf(place)
  // The first row tries them all in the short form too.
  return (form.name === 'short' ? sample(all, 24) : all).map((ending) => ({
    title: ending.title,
    ...(ending.title.includes('5 MB') && { patienceMs: 4 * form.patienceMs }), // it goes through Redis several times
    run: (bench) => judge(bench, ending),
  }))
}

export const outcomes: Fault = {
  name: 'handlers: the outcome',
  promise: 'the broker is told, keeps and repeats what it would without any instrumentation, and the worker goes on',
  places: ['BullMQ', 'RabbitMQ'],
  cases: (form, place) =>
    casesOf(place, { ...form, name: 'long' }, async (bench, ending) => {
      const lanes = [await bench.openPlain(), await bench.open({ onFailure() {} })] as const
      const [expected, got] = await Promise.all(
        lanes.map(async (lane) => {
          await run(lane, ending)
          await lane.put({ id: 'after' })
          await ranOnce(bench, lane, ['after'])
          // There is no event for what must not happen.
          if (ending.truth === 'open' || ending.truth === 'put off')
            await new Promise((resolve) => setTimeout(resolve, 200))
          return { ...(await lane.look('one')), runs: lane.runs.get('one') }
        }),
      )
      sameFate(ending.title, got as Fate, expected as Fate)
    }),
}

export const truths: Fault = {
  name: 'handlers: the truth',
  promise:
    'each run has one span, which is ended, and is an error exactly where the run failed: not where it returned, was cancelled or put off by control flow',
  places: ['BullMQ', 'RabbitMQ'],
  cases: (form, place) =>
    casesOf(place, form, async (bench, ending) => {
      if (ending.truth === 'open' || ending.truth === 'unsaid') return
      const lane = await bench.open()
      await run(lane, ending, 1)
      const { spans } = bench.recorded
      const ofTask = () => spans.spans.filter(({ kind }) => kind === 'consumer')
      await until(() => ofTask().length > 0, 'a span of the task has ended')
      // A run that was put off may come again at any time: its span is judged, not their number.
      if (ending.truth !== 'put off') same('ended spans of the task', ofTask().length, lane.runs.get('one'))
      const status = ending.truth === 'failed' ? 'error' : 'unset'
      for (const span of ofTask().slice(0, 1))
        same('status of the span', span.status === 'ok' ? 'unset' : span.status, status)
      if (bench.contender === 'taskspan') await agree(bench, ending)
    }),
}

const OUTCOMES = { failed: 'failure', fine: 'success', 'put off': 'deferred', cancelled: 'cancelled' } as const
const LINES = {
  failure: 'task.failed',
  success: 'task.succeeded',
  deferred: 'task.deferred',
  cancelled: 'task.cancelled',
}

/** Metric and line say what the span says. */
async function agree({ recorded }: Bench, { truth }: Ending): Promise<void> {
  if (truth === 'open' || truth === 'unsaid') return
  const outcome = OUTCOMES[truth]
  const { spans, metrics, logs } = recorded
  await logs.waitFor(LINES[outcome])
  same(
    'outcome of the span',
    spans.spans.find(({ kind }) => kind === 'consumer')?.attributes['taskiq.outcome'],
    outcome,
  )
  same('outcome of the counter', await metrics.value('taskiq_tasks_total', { outcome }), 1)
  if (truth !== 'put off') same('all outcomes counted', await metrics.value('taskiq_tasks_total'), 1)
}

export const privacy: Fault = {
  name: 'handlers: nothing private or huge',
  promise: 'no payload, result or password is in any span, metric or line, and no span is over 64 KiB',
  places: ['BullMQ', 'RabbitMQ'],
  cases: (form, place) =>
    casesOf(place, form, async (bench, ending) => {
      const lane = await bench.open()
      await run(lane, ending)
      await lane.put({ id: 'after', body: { card: CANARY } })
      await ranOnce(bench, lane, ['after'])
      const { spans, logs } = bench.recorded
      await until(() => spans.spans.some(({ kind }) => kind === 'consumer'), 'a span of a task has ended')
      const said = spans.spans.map(({ name, attributes, events, links, statusMessage }) =>
        JSON.stringify({ name, attributes, events, links, statusMessage }),
      )
      for (const span of said) {
        const bytes = Buffer.byteLength(span)
        holds(`a span of ${bytes} bytes`, bytes <= MAX_SPAN_BYTES)
        holds(`a span says ${CANARY}: ${span.slice(0, 200)}`, !span.includes(CANARY))
      }
      for (const line of logs.lines) holds(`a line says ${CANARY}`, !JSON.stringify(line).includes(CANARY))
      holds(`a metric says ${CANARY}`, !(await lane.scrape?.())?.includes(CANARY))
    }),
}
