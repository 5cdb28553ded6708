// When a schedule is due, by its interval or its cron expression: how many runs lie between two times.
import { Cron } from 'croner'
import { guard } from '../kernel/faults.ts'

export interface Timetable {
  /** Planned times in [from, to), where `from` is one; undefined where `to` is none: another timetable made it. */
  between(from: number, to: number): number | undefined
  /** Planned times after `from`, which is one, up to and with `to`. */
  after(from: number, to: number): number
  /** From the time before this one to this one, in ms: on a Friday, a schedule of working days has 72 hours. */
  intervalAt(time: number): number | undefined
}

const MAX_RUNS = 10_000

export function timetableOf(scheduler: Readonly<Record<string, string>>): Timetable | undefined {
  const every = Number(scheduler.every)
  if (every > 0) return interval(every)
  const { pattern, tz } = scheduler
  return pattern === undefined ? undefined : guard('watch', 'pattern', () => cron(pattern, tz))
}

function interval(every: number): Timetable {
  return {
    between: (from, to) => ((to - from) % every === 0 ? (to - from) / every : undefined),
    after: (from, to) => Math.max(0, Math.floor((to - from) / every)),
    intervalAt: () => every,
  }
}

function cron(expression: string, timezone: string | undefined): Timetable {
  const pattern = new Cron(expression, { paused: true, ...(timezone !== undefined && { timezone }) })
  const next = (time: number): number => pattern.nextRun(new Date(time))?.getTime() ?? Number.POSITIVE_INFINITY

  return {
    between(from, to) {
      let count = 0
      let time = from
      while (time < to && count < MAX_RUNS) {
        time = next(time)
        count++
      }
      return time === to ? count : undefined
    },
    after(from, to) {
      let count = 0
      for (let time = next(from); time <= to && count < MAX_RUNS; time = next(time)) count++
      return count
    },
    intervalAt(time) {
      const [before] = pattern.previousRuns(1, new Date(time))
      return before === undefined ? undefined : time - before.getTime()
    },
  }
}
