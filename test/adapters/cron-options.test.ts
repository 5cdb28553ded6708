// Options that a tick refuses when it is made, in words that help.
import { cron, type TickOptions } from 'taskspan/cron'
import { describe, expect, it } from 'vitest'

describe('wrong options', () => {
  const wrong: [string, unknown[], string][] = [
    ['no name', [undefined, () => {}], 'name must be a non-empty string, got undefined'],
    ['an empty name', ['', () => {}], 'name must be a non-empty string, got ""'],
    ['no function', ['x'], "tick('x') needs a function, got undefined"],
    ['an unknown key', ['x', () => {}, { cron: '* * * * *' }], 'unknown option \'cron\' ("* * * * *")'],
    ['options that are no object', ['x', () => {}, '* * * * *'], 'options must be an object, got "* * * * *"'],
    ['a schedule that is no string', ['x', () => {}, { schedule: 60 }], "'schedule' must be a string, got 60"],
    ['a schedule that nobody can read', ['x', () => {}, { schedule: '61 * * * *' }], 'the schedule "61 * * * *"'],
    ['an empty schedule', ['x', () => {}, { schedule: '' }], 'the schedule ""'],
    [
      'a time zone that does not exist',
      ['x', () => {}, { schedule: '0 3 * * *', timezone: 'Mars/Base' }],
      '"0 3 * * *" in "Mars/Base"',
    ],
    ['a time zone without a schedule', ['x', () => {}, { timezone: 'Europe/Berlin' }], "'timezone' needs 'schedule'"],
    ['an interval of nothing', ['x', () => {}, { intervalMs: 0 }], "'intervalMs' must be a number >= 1, got 0"],
    ['an interval that is no number', ['x', () => {}, { intervalMs: Number.NaN }], 'got NaN'],
    ['both', ['x', () => {}, { schedule: '* * * * *', intervalMs: 60_000 }], "takes 'schedule' or 'intervalMs'"],
  ]

  it.each(wrong)('are refused when the tick is made: %s', (_, args, message) => {
    const make = cron() as (...args: unknown[]) => unknown
    const code = message.startsWith('unknown option') ? 'UNKNOWN_OPTION' : 'INVALID_OPTION'
    expect(() => make(...args)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }))
  })

  it('keep the cause, and say what to do where the runner reads the expression otherwise', () => {
    const make = () => cron()('x', () => {}, { schedule: '0 22-2 * * *' }) // node-cron's way to write a night
    expect(make).toThrow(
      expect.objectContaining({ cause: expect.any(Error), message: expect.stringContaining('leave it out') }),
    )
  })

  it('undefined means unset', async () => {
    const options: TickOptions = { schedule: undefined, timezone: undefined, intervalMs: undefined }
    expect(await cron()('x', () => 1, options)()).toBe(1)
  })
})
