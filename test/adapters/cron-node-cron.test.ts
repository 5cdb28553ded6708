// node-cron 4 runs the tick: what it gets, and what it says of a run and so need not be told twice.
import { cron } from 'taskspan/cron'
import { describe, expect, it } from 'vitest'
import { clockAt, missed, nextRun, nodecron, outOfTurn, pass, times, told } from '../support/cron.ts'
import { record } from '../support/record.ts'

describe('node-cron', () => {
  it('hands its context through, and gets the result', async () => {
    clockAt('2026-01-05T12:00:59Z')
    const { t } = await record()
    const seen: unknown[] = []
    const result = { removed: 3 }
    const task = nodecron(
      '* * * * *',
      {},
      cron(t)('cleanup', (context, ...more) => {
        seen.push(context, context.date.getTime(), ...more) // its type is inferred from the runner's
        return result
      }),
    )
    await pass(1)
    expect(seen).toEqual([expect.objectContaining({ task }), Date.parse('2026-01-05T12:01:00Z')])
    expect(task.lastRun()).toMatchObject({ result })
  })

  it('need not be told its schedule twice, and wants both day of month and day of week', async () => {
    clockAt('2026-03-05T12:00:00Z') // the Friday that begins in Tokyo in three hours is a 6th
    const recorded = await record()
    nodecron(
      '0 0 13 * 5',
      { timezone: 'Asia/Tokyo' },
      cron(recorded.t)('cleanup', () => {}),
    )
    await pass(8 * 86_400)
    expect(told(recorded)).toEqual([{ time: '2026-03-12T15:00:00.000Z', drift: 0 }])
    expect(await nextRun(recorded)).toBe('2026-11-12T15:00:00.000Z')
    expect(await missed(recorded)).toBeUndefined()
  })

  it('knows when it is run by hand, a moment before its time as well', async () => {
    clockAt('2026-01-05T12:59:59.990Z')
    const recorded = await record()
    const fn = () => 'removed'
    const task = nodecron('0 * * * *', {}, cron(recorded.t)('cleanup', fn))
    expect(await task.execute()).toBe('removed')
    await pass(1)
    expect(told(recorded)).toEqual([outOfTurn, { time: '2026-01-05T13:00:00.000Z', drift: 0 }])
    expect(await missed(recorded)).toBeUndefined()
  })

  it('run by hand rejects with the very error', async () => {
    const { t } = await record()
    const error = new Error('disk full')
    const task = nodecron(
      '0 * * * *',
      {},
      cron(t)('cleanup', async () => {
        throw error
      }),
    )
    await expect(task.execute()).rejects.toBe(error)
  })

  it('that forbids overlaps leaves runs out: they are counted as missed', async () => {
    clockAt('2026-01-05T12:00:00.500Z')
    const recorded = await record()
    const run = cron(recorded.t)('cleanup', () => new Promise((resolve) => setTimeout(resolve, 2_500)))
    nodecron('* * * * * *', { noOverlap: true }, run)
    await pass(8)
    expect(times(recorded, 17, 19)).toEqual(['01', '04'])
    expect(await missed(recorded)).toBe(4) // 02, 03, 05 and 06; the run of 07 is under way
  })

  it('in a dialect that croner cannot read still tells the drift', async () => {
    clockAt('2026-01-05T21:59:59Z')
    const recorded = await record()
    nodecron(
      '0 22-2 * * *',
      {},
      cron(recorded.t)('cleanup', () => {}),
    )
    await pass(2)
    expect(told(recorded)).toEqual([{ time: '2026-01-05T22:00:00.000Z', drift: 0 }])
    expect(await recorded.faults()).toBe(0)
  })
})
