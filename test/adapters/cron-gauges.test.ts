// What an alert asks of a schedule: when it runs next, how far apart its runs are, when it last succeeded.
import type { Middleware, TaskEvent } from 'taskspan'
import { cron, type TickOptions } from 'taskspan/cron'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Recorded, record } from '../support/record.ts'
import { gate } from '../support/run.ts'

let recorded: Recorded
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'], now: new Date('2026-01-07T12:00:30Z') }) // a Wednesday
  recorded = await record()
})
afterEach(() => {
  vi.useRealTimers()
})

async function gauges() {
  const { metrics } = recorded
  const next = await metrics.value('taskiq_cron_next_run_timestamp_seconds', { schedule: 'cleanup' })
  return {
    next: next === undefined ? undefined : new Date(next * 1000).toISOString(),
    hours: Number(await metrics.value('taskiq_cron_interval_seconds', { schedule: 'cleanup' })) / 3600,
  }
}

const make = (options: TickOptions, fn: () => unknown = () => {}) => cron(recorded.t)('cleanup', fn, options)

describe('before the first run', () => {
  it.each([
    ['an expression', { schedule: '0 * * * *' }, '2026-01-07T13:00:00.000Z', 1],
    ['a time zone', { schedule: '0 3 * * *', timezone: 'Asia/Tokyo' }, '2026-01-07T18:00:00.000Z', 24],
    ['a nickname', { schedule: '@daily' }, '2026-01-08T00:00:00.000Z', 24],
    ['seconds', { schedule: '*/36 * * * * *' }, '2026-01-07T12:00:36.000Z', 0.01],
    ['an interval', { intervalMs: 1_800_000 }, '2026-01-07T12:30:30.000Z', 0.5],
  ])('next run and interval stand there already: %s', async (_, options, next, hours) => {
    make(options)
    expect(await gauges()).toEqual({ next, hours })
    expect(recorded.spans.spans).toEqual([])
    expect(await recorded.metrics.series('taskiq_cron_last_success_timestamp_seconds')).toEqual([])
  })

  it('nothing is said of a schedule that nobody has told', async () => {
    make({})
    expect(await gauges()).toEqual({ next: undefined, hours: Number.NaN })
    const events: unknown[] = []
    const listening: Middleware = Object.assign((_: unknown, next: () => Promise<unknown>) => next(), {
      notice: (event: TaskEvent) => void events.push(event),
    })
    cron(listening)('cleanup', () => {})
    expect(events).toEqual([])
  })

  it('no run is announced that only some runners would start: Friday and the 13th, or either', async () => {
    make({ schedule: '0 0 13 * 5' })
    expect((await gauges()).next).toBe('2026-02-13T00:00:00.000Z')
  })

  it('nothing is announced where no run will come', async () => {
    make({ schedule: '0 0 30 2 *' })
    expect((await gauges()).next).toBeUndefined()
  })
})

describe('from run to run', () => {
  it('the interval is the one that is passing now: over the weekend three days', async () => {
    const run = make({ schedule: '0 9 * * 1-5', timezone: 'UTC' })
    const seen = []
    for (const day of ['08', '09', '12']) {
      vi.setSystemTime(new Date(`2026-01-${day}T09:00:00Z`))
      await run()
      seen.push(await gauges())
    }
    expect(seen).toEqual([
      { next: '2026-01-09T09:00:00.000Z', hours: 24 },
      { next: '2026-01-12T09:00:00.000Z', hours: 72 },
      { next: '2026-01-13T09:00:00.000Z', hours: 24 },
    ])
  })

  it('the next run is known as soon as a run starts, however long it takes', async () => {
    const { open, opened } = gate()
    const run = make({ schedule: '0 * * * *' }, () => opened)
    vi.setSystemTime(new Date('2026-01-07T13:00:00Z'))
    const long = run()
    expect((await gauges()).next).toBe('2026-01-07T14:00:00.000Z')
    open()
    await long
  })

  it('a run that ends after its successor does not set the next run back', async () => {
    const { open, opened } = gate()
    let first = true
    const run = make({ schedule: '0 * * * *' }, async () => {
      if (!first) return
      first = false
      await opened
    })
    vi.setSystemTime(new Date('2026-01-07T13:00:00Z'))
    const long = run()
    vi.setSystemTime(new Date('2026-01-07T14:00:00Z'))
    await run()
    open()
    await long
    expect((await gauges()).next).toBe('2026-01-07T15:00:00.000Z')
  })

  it('the last success is when the run ended, and stays through failures', async () => {
    let fail = false
    const run = make({ schedule: '0 * * * *' }, () => {
      vi.setSystemTime(Date.now() + 90_000)
      if (fail) throw new Error('disk full')
    })
    vi.setSystemTime(new Date('2026-01-07T13:00:00Z'))
    await run()
    fail = true
    vi.setSystemTime(new Date('2026-01-07T14:00:00Z'))
    await run().catch(() => {})
    const last = await recorded.metrics.value('taskiq_cron_last_success_timestamp_seconds')
    expect(last).toBe(Date.parse('2026-01-07T13:01:30Z') / 1000)
    expect((await gauges()).next).toBe('2026-01-07T15:00:00.000Z')
  })
})
