// When a schedule is due: the planned time of a run, how late it is, what was missed, and what comes next.
import { Cron } from 'croner'

/** What one run of a schedule is, by its timetable. */
export interface Planned {
  /** When it was due, in ms since the epoch; undefined for the first run of an interval and for runs out of turn. */
  readonly time: number | undefined
  readonly missed: number
  readonly nextTime: number | undefined
  readonly intervalMs: number | undefined
}

export interface Timetable {
  /** Told of each run, at its start. */
  run(now: number): Planned
  /** The next run, told at the beginning. */
  next(now: number): Planned
}

// Timers fire a little early as well as late; within this a run belongs to the time just ahead of it.
const EARLY_MS = 500
const MAX_MISSED = 10_000

/** The timetable of a cron expression. Throws what croner says of a wrong one. */
export function cronTimetable(expression: string, timezone: string | undefined): Timetable {
  const pattern = new Cron(expression, { paused: true, ...(timezone !== undefined && { timezone }) })
  const after = (ms: number): number | undefined => pattern.nextRun(new Date(ms))?.getTime()
  let due = after(Date.now())

  const plan = (time: number | undefined, missed: number): Planned => {
    const following = due === undefined ? undefined : after(due)
    const intervalMs = due === undefined || following === undefined ? undefined : following - due
    return { time, missed, nextTime: due, intervalMs }
  }
  return {
    next: () => plan(undefined, 0),
    run(now) {
      if (due === undefined || now < due - EARLY_MS) return plan(undefined, 0) // out of turn: by hand
      let time = due
      let missed = 0
      let following = after(time)
      while (following !== undefined && following <= now + EARLY_MS && missed < MAX_MISSED) {
        time = following
        missed++
        following = after(time)
      }
      due = following
      return plan(time, missed)
    },
  }
}

/** The timetable of a fixed interval, counted from the first run: nobody knows when the timer was started. */
export function intervalTimetable(intervalMs: number): Timetable {
  let last: number | undefined
  return {
    next: (now) => ({ time: undefined, missed: 0, nextTime: now + intervalMs, intervalMs }),
    run(now) {
      // A timer that fires late shifts all later ones, so each run is measured from the one before.
      const intervals = last === undefined ? 1 : Math.max(1, Math.round((now - last) / intervalMs))
      const time = last === undefined ? undefined : Math.min(now, last + intervals * intervalMs)
      last = now
      return { time, missed: Math.min(intervals - 1, MAX_MISSED), nextTime: now + intervalMs, intervalMs }
    },
  }
}
