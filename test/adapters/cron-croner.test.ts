// Croner 11 runs the tick: what it gets, and what it says of a run and so need not be told twice.
import { cron } from 'taskspan/cron'
import { describe, expect, it, vi } from 'vitest'
import { clockAt, croner, missed, nextRun, outOfTurn, pass, times, told, value } from '../support/cron.ts'
import { record } from '../support/record.ts'

describe('croner', () => {
  it('hands its job and context through, and is called back with the result and the very error', async () => {
    clockAt('2026-01-05T12:00:59Z')
    const { t } = await record()
    const error = new Error('disk full')
    const seen: unknown[] = []
    const options = { context: { tenant: 7 }, catch: (caught: unknown) => seen.push(caught) }
    const job = croner(
      '* * * * *',
      options,
      cron(t)('cleanup', async function (this: unknown, ...args: unknown[]) {
        seen.push(this, ...args)
        throw error
      }),
    )
    await pass(1)
    expect(seen).toHaveLength(4)
    for (const [at, part] of [job, job, options.context, error].entries()) expect(seen[at]).toBe(part)
  })

  it('need not be told its schedule twice: drift, next run and interval are those of the job', async () => {
    clockAt('2026-03-28T01:29:50Z')
    const recorded = await record()
    croner(
      '30 2 * * *',
      { timezone: 'Europe/Berlin' },
      cron(recorded.t)('cleanup', async () => {}),
    )
    expect(await value(recorded, 'taskiq_cron_next_run_timestamp_seconds')).toBeUndefined()
    await pass(23.6 * 3600)
    expect(told(recorded)).toEqual([
      { time: '2026-03-28T01:30:00.000Z', drift: 0 },
      { time: '2026-03-29T01:00:00.000Z', drift: 0 }, // there is no 02:30: the first moment after the gap
    ])
    expect(await nextRun(recorded)).toBe('2026-03-30T00:30:00.000Z')
    expect(await value(recorded, 'taskiq_cron_interval_seconds')).toBe(23.5 * 3600)
    expect(await missed(recorded)).toBeUndefined()
  })

  it('is right where the option has forgotten the time zone', async () => {
    clockAt('2026-01-05T17:59:50Z')
    const recorded = await record()
    croner(
      '0 3 * * *',
      { timezone: 'Asia/Tokyo' },
      cron(recorded.t)('cleanup', async () => {}, { schedule: '0 3 * * *', timezone: 'UTC' }),
    )
    await pass(24.1 * 3600)
    expect(times(recorded)).toEqual(['2026-01-05T18:00:00.000Z', '2026-01-06T18:00:00.000Z'])
    expect(await missed(recorded)).toBeUndefined()
  })

  it('that protects a long run leaves the runs between out: they are counted as missed', async () => {
    clockAt('2026-01-05T12:00:00.500Z')
    const recorded = await record()
    let first = true
    croner(
      '* * * * * *',
      { protect: true },
      cron(recorded.t)('cleanup', async () => {
        const ms = first ? 3_200 : 10
        first = false
        await new Promise((resolve) => setTimeout(resolve, ms))
      }),
    )
    await pass(6)
    expect(times(recorded, 17, 19)).toEqual(['01', '05', '06'])
    expect(await missed(recorded)).toBe(3)
    expect(await value(recorded, 'taskiq_cron_overlaps_total')).toBeUndefined()
  })

  it('that does not protect lets runs overlap, which is counted', async () => {
    clockAt('2026-01-05T12:00:00.500Z')
    const recorded = await record()
    const run = cron(recorded.t)('cleanup', () => new Promise((resolve) => setTimeout(resolve, 1_500)))
    croner('* * * * * *', { maxRuns: 3 }, run)
    await pass(6)
    expect(times(recorded, 17, 19)).toEqual(['01', '02', '03'])
    expect(await value(recorded, 'taskiq_cron_overlaps_total')).toBe(2)
  })

  it('triggered by hand runs out of turn', async () => {
    clockAt('2026-01-05T12:00:00Z')
    const recorded = await record()
    const job = croner(
      '0 * * * *',
      {},
      cron(recorded.t)('cleanup', async () => {}),
    )
    await job.trigger()
    await pass(3600)
    await pass(600)
    await job.trigger()
    expect(told(recorded)).toEqual([outOfTurn, { time: '2026-01-05T13:00:00.000Z', drift: 0 }, outOfTurn])
    expect(await nextRun(recorded)).toBe('2026-01-05T14:00:00.000Z')
  })

  it('after the clock leapt ahead runs once, and what it left out is counted', async () => {
    clockAt('2026-01-05T12:00:30Z')
    const recorded = await record()
    croner(
      '* * * * *',
      {},
      cron(recorded.t)('cleanup', async () => {}),
    )
    await pass(30)
    vi.setSystemTime(new Date('2026-01-05T13:00:45Z'))
    await pass(60)
    expect(times(recorded, 11, 16)).toEqual(['12:01', '13:01'])
    expect(await missed(recorded)).toBe(59)
  })

  it('runs once at a date', async () => {
    clockAt('2026-12-24T17:59:00Z')
    const recorded = await record()
    croner(
      '2026-12-24T18:00:00Z',
      {},
      cron(recorded.t)('cleanup', async () => {}),
    )
    await pass(120)
    expect(told(recorded)).toEqual([{ time: '2026-12-24T18:00:00.000Z', drift: 0 }])
  })
})
