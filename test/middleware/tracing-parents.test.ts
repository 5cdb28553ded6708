// Where a task's span hangs: below its sender, linked to it, or alone; and work that leaves the task.
import { context, createContextKey, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { currentTask, type TaskFields } from 'taskspan'
import { bind } from 'taskspan/logging'
import { type RecordedSpan, recordSpans } from 'taskspan/testing'
import { detach, injectHeaders, type ParentMode, type TracingOptions, tracing } from 'taskspan/tracing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { faultsOf } from '../support/faults.ts'
import { gate, runner, SENDER, SPAN_ID, TRACE_ID, turns } from '../support/run.ts'

async function spanOf(options: TracingOptions, fields: Partial<TaskFields> = { carrier: SENDER }) {
  await using spans = recordSpans()
  await runner(tracing(options))(fields)
  return spans.spans[0] as RecordedSpan
}

const CHILD = { traceId: TRACE_ID, parentSpanId: SPAN_ID, links: [] }
const LINKED = { parentSpanId: undefined, links: [{ traceId: TRACE_ID, spanId: SPAN_ID }] }
const ALONE = { parentSpanId: undefined, links: [] }

const IN_MODE: Readonly<Record<ParentMode, object>> = { child: CHILD, link: LINKED, root: ALONE }

describe('the parent', () => {
  it('is the sender by default', async () => {
    expect(await spanOf({})).toMatchObject(CHILD)
  })

  it('is none where the message carried nothing', async () => {
    for (const parent of ['child', 'link', 'root'] as const) {
      expect(await spanOf({ parent }, {})).toMatchObject(ALONE)
      expect(await spanOf({ parent }, { carrier: {} })).toMatchObject(ALONE)
    }
  })

  it.each(['child', 'link', 'root'] as const)('is chosen for all tasks: %s', async (parent) => {
    const span = await spanOf({ parent })
    expect(span).toMatchObject(IN_MODE[parent])
    if (parent !== 'child') expect(span.traceId).not.toBe(TRACE_ID)
  })

  it('is chosen for each task by a function', async () => {
    const parent = vi.fn(({ name }: TaskFields) => name as ParentMode)
    for (const mode of ['child', 'link', 'root'] as const) {
      expect(await spanOf({ parent }, { name: mode, carrier: SENDER })).toMatchObject(IN_MODE[mode])
    }
    expect(parent).toHaveBeenCalledTimes(3)
  })

  it.each<[string, () => ParentMode]>([
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    ['gives what is no mode', () => 'parent' as never],
    ['gives nothing', () => undefined as never],
  ])('is the sender where the function %s, which is counted once', async (_, parent) => {
    const faults = faultsOf('tracing', 'parent')
    expect(await spanOf({ parent })).toMatchObject(CHILD)
    expect(await spanOf({ parent }, { carrier: SENDER, type: 'cron' }), 'a schedule as ever').toMatchObject(LINKED)
    expect(faults()).toBe(2)
  })

  it('of a scheduled run is none: a trace of its own, linked to whoever scheduled it', async () => {
    const cron = { carrier: SENDER, type: 'cron', schedule: { id: 'nightly' } } as const
    expect(await spanOf({}, cron)).toMatchObject(LINKED)
    expect(await spanOf({ parent: 'root' }, cron)).toMatchObject(ALONE)
    expect(await spanOf({ parent: () => 'child' }, cron)).toMatchObject(CHILD)
  })

  it('is linked instead where the message is older than maxTraceAgeMs; unknown age joins', async () => {
    const options = { maxTraceAgeMs: 60_000 }
    expect(await spanOf(options, { carrier: SENDER, ageMs: 60_001 })).toMatchObject(LINKED)
    expect(await spanOf(options, { carrier: SENDER, ageMs: 60_000 })).toMatchObject(CHILD)
    expect(await spanOf(options, { carrier: SENDER })).toMatchObject(CHILD)
    expect(await spanOf({}, { carrier: SENDER, ageMs: 1e12 })).toMatchObject(CHILD)
    expect(await spanOf({ maxTraceAgeMs: 0 }, { carrier: SENDER, ageMs: 1 }), 'zero is a value').toMatchObject(LINKED)
    expect(await spanOf({ ...options, parent: 'root' }, { carrier: SENDER, ageMs: 1e12 })).toMatchObject(ALONE)
  })

  it('keeps the links that came with the message beside the sender', async () => {
    const other = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 }
    const span = await spanOf({ parent: 'link' }, { carrier: SENDER, links: [{ context: other }] })
    expect(span.links.map(({ spanId }) => spanId)).toEqual([other.spanId, SPAN_ID])
  })

  it('follows the sender’s sampling', async () => {
    await using spans = recordSpans()
    const sampled = await runner(tracing())({ carrier: { traceparent: `00-${TRACE_ID}-${SPAN_ID}-00` } }, () =>
      trace.getActiveSpan()?.spanContext(),
    )
    expect(sampled).toMatchObject({ traceId: TRACE_ID, traceFlags: 0 })
    expect(spans.spans).toEqual([])
  })

  it.each([
    ['garbage', { traceparent: 'garbage' }],
    ['zeros', { traceparent: `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01` }],
    ['a number', { traceparent: 7 }],
    ['an object', { traceparent: SENDER }],
    ['inherited', Object.create(SENDER) as Record<string, unknown>],
    ['over 8 KiB', { traceparent: `${SENDER.traceparent}${' '.repeat(9_000)}` }],
  ])('is none where the carrier is broken: %s', async (_, carrier) => {
    expect(await spanOf({}, { carrier })).toMatchObject(ALONE)
  })

  it('is none, and counted, where the carrier throws', async () => {
    const faults = faultsOf('propagation', 'extract')
    const carrier = {
      get traceparent(): string {
        throw new Error('no')
      },
    }
    expect(await spanOf({}, { carrier })).toMatchObject(ALONE)
    expect(faults()).toBe(1)
  })

  it('is right for a thousand interleaved tasks with four spans each', async () => {
    await using spans = recordSpans()
    const run = runner(tracing())
    const tracer = trace.getTracer('handler')
    const ids = Array.from({ length: 1_000 }, (_, at) => (at + 1).toString(16).padStart(16, '0'))
    await Promise.all(
      ids.map((id, at) =>
        run({ id, carrier: { traceparent: `00-${id}${id}-${id}-01` } }, async () => {
          for (let child = 0; child < 4; child++) {
            await turns((at + child) % 4)
            tracer.startSpan(`child of ${id}`).end()
          }
        }),
      ),
    )
    const tasks = spans.named('taskiq.render')
    expect(tasks).toHaveLength(1_000)
    for (const task of tasks) {
      const id = task.attributes['messaging.message.id'] as string
      expect(task.parentSpanId).toBe(id)
      expect(task.children.map(({ name }) => name)).toEqual(new Array(4).fill(`child of ${id}`))
    }
  })
})

describe('injectHeaders()', () => {
  it('adds the active span to a copy of the headers', async () => {
    await using spans = recordSpans()
    const headers = Object.freeze({ accept: 'text/html' })
    const out = await runner(tracing())({}, () => injectHeaders(headers))
    const { traceId, spanId } = spans.one('taskiq.render')
    expect(out).toEqual({ accept: 'text/html', traceparent: `00-${traceId}-${spanId}-01` })
  })

  it('adds nothing where there is no span, or no SDK', async () => {
    expect(injectHeaders({ a: 'b' })).toEqual({ a: 'b' })
    await using _ = recordSpans()
    expect(injectHeaders()).toEqual({})
  })
})

describe('detach()', () => {
  it('gives work that outlives its handler a trace of its own, linked to the task', async () => {
    await using spans = recordSpans()
    let detached: Promise<unknown> | undefined
    await runner(tracing())({ carrier: SENDER }, () => {
      detached = detach(async () => {
        await turns()
        trace.getTracer('t').startSpan('cache').end()
        return currentTask()
      })
    })
    expect(spans.open).toEqual(['detached.render'])
    expect(await detached, 'it is no longer the task').toBeUndefined()
    const span = await spans.waitFor('detached.render')
    const task = spans.one('taskiq.render')
    expect(span).toMatchObject({ kind: 'internal', parentSpanId: undefined, status: 'unset' })
    expect(span.links).toMatchObject([{ traceId: task.traceId, spanId: task.spanId }])
    expect(span.traceId).not.toBe(task.traceId)
    expect(spans.one('cache').parent).toBe(span)
  })

  it("gives a client's own kind of promise back itself, and keeps what was put on one", async () => {
    await using spans = recordSpans()
    class Job extends Promise<number> {
      // biome-ignore lint/suspicious/noThenProperty: whatever a class may do
      override then(): never {
        throw new Error('not asked for')
      }
    }
    const odd = new Job((resolve) => resolve(5))
    const unfollowed = faultsOf('tracing', 'follow')
    expect([detach(() => odd)][0]).toBe(odd)
    await turns()
    expect(spans.open).toEqual([])
    expect(unfollowed()).toBe(1)
    const done = gate()
    const job = detach(() => Object.assign(done.opened, { cancel: () => 'cancelled' }))
    expect(job.cancel()).toBe('cancelled')
    expect(spans.open).toHaveLength(1)
    done.open()
    await job
    expect(spans.open).toEqual([])
  })

  it('starts from the root but for the bound keys', async () => {
    await using _ = recordSpans()
    const key = createContextKey('request')
    const seen = context.with(ROOT_CONTEXT.setValue(key, 'r-1'), () =>
      bind({ request_id: 'r-1' }, () => detach(() => context.active().getValue(key))),
    )
    expect(seen).toBeUndefined()
  })

  it('gives back what the work gives, and the very error that it throws', async () => {
    await using spans = recordSpans()
    expect(detach(() => 7)).toBe(7)
    expect(await detach(async () => 7)).toBe(7)
    const error = new RangeError('no')
    const sync = (): never =>
      detach(() => {
        throw error
      })
    expect(sync).toThrow(error)
    await expect(detach(() => Promise.reject(error))).rejects.toBe(error)
    expect(spans.named('detached.work').map(({ status }) => status)).toEqual(['unset', 'unset', 'error', 'error'])
    expect(spans.open).toEqual([])
  })

  it('leaves a rejection that nobody handles unhandled', async () => {
    await using _ = recordSpans()
    const listeners = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    onTestFinished(() => {
      process.removeAllListeners('unhandledRejection')
      for (const listener of listeners) process.on('unhandledRejection', listener)
    })
    const seen = vi.fn()
    process.on('unhandledRejection', seen)
    const error = new Error('nobody cares')
    void detach(() => Promise.reject(error))
    await turns()
    expect(seen).toHaveBeenCalledExactlyOnceWith(error, expect.anything())
  })

  it('runs without an SDK and outside of any task', async () => {
    expect(await detach(async () => 7)).toBe(7)
  })
})
