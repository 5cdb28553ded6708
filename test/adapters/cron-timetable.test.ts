// What a known schedule makes known: drift, runs that did not start, runs out of turn, and clocks that jump.
import { cron, type TickOptions } from 'taskspan/cron'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { missed, nextRun, outOfTurn, told, value } from '../support/cron.ts'
import { type Recorded, record } from '../support/record.ts'

let recorded: Recorded
beforeEach(async () => {
  // Date and performance.now() stand still; the runner is the test itself.
  vi.useFakeTimers({ toFake: ['Date', 'performance'], now: new Date('2026-01-05T12:00:10Z') })
  recorded = await record()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Runs a tick at these moments, the clock going there in leaps; tells what each run said of its schedule. */
async function runsAt(options: TickOptions, ...moments: string[]) {
  const run = cron(recorded.t)('cleanup', () => {}, options)
  for (const moment of moments) {
    const ms = Date.parse(moment) - Date.now()
    if (ms > 0) vi.advanceTimersByTime(ms)
    else vi.setSystemTime(new Date(moment))
    await run()
  }
  return told(recorded)
}

describe('a cron expression', () => {
  const schedule = '*/5 * * * *'

  it('tells when a run was due and how late it started', async () => {
    expect(await runsAt({ schedule }, '2026-01-05T12:05:00.250Z', '2026-01-05T12:10:00.004Z')).toEqual([
      { time: '2026-01-05T12:05:00.000Z', drift: 250 },
      { time: '2026-01-05T12:10:00.000Z', drift: 4 },
    ])
    expect(await value(recorded, 'taskiq_cron_drift_seconds_count')).toBe(2)
    expect(await value(recorded, 'taskiq_cron_drift_seconds_sum')).toBeCloseTo(0.254)
    expect(await missed(recorded)).toBeUndefined()
  })

  it('takes a run that comes a moment early for the one just ahead', async () => {
    expect(await runsAt({ schedule }, '2026-01-05T12:04:59.998Z', '2026-01-05T12:10:00Z')).toEqual([
      { time: '2026-01-05T12:05:00.000Z', drift: 0 },
      { time: '2026-01-05T12:10:00.000Z', drift: 0 },
    ])
  })

  it('knows a run by hand: no time, no drift, and the next one still in turn', async () => {
    expect(await runsAt({ schedule }, '2026-01-05T12:03:20Z', '2026-01-05T12:05:00.100Z')).toEqual([
      outOfTurn,
      { time: '2026-01-05T12:05:00.000Z', drift: 100 },
    ])
    expect(await missed(recorded)).toBeUndefined()
    expect(await nextRun(recorded)).toBe('2026-01-05T12:10:00.000Z')
  })

  it('counts and reports the runs that did not start; the run belongs to the latest time', async () => {
    const runs = await runsAt({ schedule }, '2026-01-05T12:05:00Z', '2026-01-05T12:26:00Z', '2026-01-05T12:30:00Z')
    expect(runs.slice(1)).toEqual([
      { time: '2026-01-05T12:25:00.000Z', drift: 60_000 },
      { time: '2026-01-05T12:30:00.000Z', drift: 0 },
    ])
    expect(await recorded.metrics.series('taskiq_cron_missed_total')).toEqual([
      { labels: { schedule: 'cleanup' }, value: 3 },
    ])
    expect(recorded.logs.named('cron.missed')).toMatchObject([{ level: 'warning', schedule_id: 'cleanup', count: 3 }])
  })

  it('counts the runs missed between the making of the tick and its first run', async () => {
    await runsAt({ schedule }, '2026-01-05T12:15:00Z')
    expect(await missed(recorded)).toBe(2)
  })

  it('takes a run that is late by more than half a period for late, not for missed', async () => {
    const runs = await runsAt(
      { schedule: '* * * * * *' },
      '2026-01-05T12:00:11.700Z',
      '2026-01-05T12:00:12.001Z',
      '2026-01-05T12:00:13.999Z',
      '2026-01-05T12:00:14.001Z',
    )
    expect(runs.map(({ drift }) => drift)).toEqual([700, 1, 999, 1])
    expect(await missed(recorded)).toBeUndefined()
  })

  it('stops counting at 1,000 missed runs, and is right again at once', async () => {
    const started = process.hrtime.bigint()
    const runs = await runsAt({ schedule: '* * * * * *' }, '2026-01-05T22:00:00.500Z', '2026-01-05T22:00:01.002Z')
    expect(Number(process.hrtime.bigint() - started) / 1e6).toBeLessThan(2_000)
    expect(runs).toEqual([
      { time: '2026-01-05T22:00:00.000Z', drift: 500 },
      { time: '2026-01-05T22:00:01.000Z', drift: 2 },
    ])
    expect(await missed(recorded)).toBe(1_000)
  })

  it('is in turn again after the clock was set back by an hour', async () => {
    const runs = await runsAt(
      { schedule },
      '2026-01-05T12:05:00.001Z',
      '2026-01-05T11:10:00.002Z',
      '2026-01-05T11:15:00.003Z',
    )
    expect(runs).toEqual([
      { time: '2026-01-05T12:05:00.000Z', drift: 1 },
      { time: '2026-01-05T11:10:00.000Z', drift: 2 },
      { time: '2026-01-05T11:15:00.000Z', drift: 3 },
    ])
    expect(await missed(recorded)).toBeUndefined()
    expect(await nextRun(recorded)).toBe('2026-01-05T11:20:00.000Z')
  })

  it('follows the time zone through the change to summer time', async () => {
    vi.setSystemTime(new Date('2026-03-27T12:00:00Z'))
    const runs = await runsAt(
      { schedule: '30 2 * * *', timezone: 'Europe/Berlin' },
      '2026-03-28T01:30:00Z',
      '2026-03-29T01:00:00Z', // 02:30 does not exist: the first moment after the gap
      '2026-03-30T00:30:00Z',
    )
    expect(runs.map(({ drift }) => drift)).toEqual([0, 0, 0])
    expect(await missed(recorded)).toBeUndefined()
    expect(await nextRun(recorded)).toBe('2026-03-31T00:30:00.000Z')
  })

  it('follows the time zone through the change to winter time: nightly once, half-hourly twice', async () => {
    vi.setSystemTime(new Date('2026-10-24T12:00:00Z'))
    await runsAt({ schedule: '30 2 * * *', timezone: 'Europe/Berlin' }, '2026-10-25T00:30:00Z')
    expect(await nextRun(recorded)).toBe('2026-10-26T01:30:00.000Z')
    expect(await value(recorded, 'taskiq_cron_interval_seconds')).toBe(25 * 3600)

    vi.setSystemTime(new Date('2026-10-24T23:59:00Z'))
    const hourly = ['00:00', '00:30', '01:00', '01:30', '02:00'].map((time) => `2026-10-25T${time}:00Z`)
    const runs = await runsAt({ schedule: '*/30 * * * *', timezone: 'Europe/Berlin' }, ...hourly)
    expect(runs.slice(1).map(({ drift }) => drift)).toEqual([0, 0, 0, 0, 0])
    expect(await missed(recorded)).toBeUndefined()
  })
})

describe('an interval', () => {
  const intervalMs = 60_000

  it('tells drift and missed runs from the run before: nobody knows when the timer was started', async () => {
    const runs = await runsAt(
      { intervalMs },
      '2026-01-05T12:01:00Z',
      '2026-01-05T12:02:00.020Z',
      '2026-01-05T12:03:55.020Z', // 115 s later: one run was late, none is missing
      '2026-01-05T12:08:00.020Z', // 245 s later: three are missing
    )
    expect(runs).toEqual([
      outOfTurn,
      { time: '2026-01-05T12:02:00.000Z', drift: 20 },
      { time: '2026-01-05T12:03:00.020Z', drift: 55_000 },
      { time: '2026-01-05T12:07:55.020Z', drift: 5_000 },
    ])
    expect(await missed(recorded)).toBe(3)
    expect(await nextRun(recorded)).toBe('2026-01-05T12:09:00.020Z')
  })

  it('does not take a run by hand for one of the timer', async () => {
    const runs = await runsAt(
      { intervalMs },
      '2026-01-05T12:01:00Z',
      '2026-01-05T12:01:20Z',
      '2026-01-05T12:02:00.030Z',
    )
    expect(runs).toEqual([outOfTurn, outOfTurn, { time: '2026-01-05T12:02:00.000Z', drift: 30 }])
    expect(await nextRun(recorded)).toBe('2026-01-05T12:03:00.030Z')
  })

  it('misses nothing when the clock is set, forward or back: a timer does not feel it', async () => {
    const run = cron(recorded.t)('cleanup', () => {}, { intervalMs })
    for (const set of ['2026-01-05T12:00:00Z', '2026-01-06T00:00:00Z', '2026-01-01T00:00:00Z']) {
      vi.setSystemTime(new Date(set))
      vi.advanceTimersByTime(intervalMs)
      await run()
    }
    expect(await missed(recorded)).toBeUndefined()
    expect(await value(recorded, 'taskiq_cron_drift_seconds_sum')).toBe(0)
    expect(await value(recorded, 'taskiq_cron_drift_seconds_count')).toBe(2)
  })
})
