// When a schedule is due: the planned time of a run, how late it is, what was missed, and what comes next.
import { type Pattern, patternOf } from './pattern.ts'
import type { Said } from './runner.ts'

/** What one run of a schedule is, by its timetable. */
export interface Planned {
  /** When it was due, in ms since the epoch; undefined for the first run of an interval and for runs out of turn. */
  readonly time: number | undefined
  readonly missed: number
  readonly nextTime: number | undefined
  /** From the time before the next one to the next one: on a Friday, a schedule of working days has 72 hours. */
  readonly intervalMs: number | undefined
}

export interface Timetable {
  /** The next run, told before the first one. */
  next(): Planned
  /** Told of each run, at its start. */
  run(now: number, said: Said | undefined): Planned
}

export interface Written {
  readonly schedule: string
  readonly timezone: string | undefined
}

// Timers fire a moment early as well as late; within this a run belongs to the time just ahead of it.
const EARLY_MS = 50
// Each costs up to 0.1 ms of the event loop. A second-long schedule after a night's sleep has missed 30,000.
const MAX_MISSED = 1_000

/** The timetable of a cron expression: as written, until the runner itself has said more. Throws on a wrong one. */
export function cronTimetable(written: Written | undefined): Timetable {
  const read = (domAndDow: boolean): Pattern | undefined => {
    if (written === undefined) return undefined
    const { schedule, timezone } = written
    return patternOf(schedule, { domAndDow, ...(timezone !== undefined && { timezone }) })
  }
  // Day of month and day of week: most runners take either, node-cron both. Until a run shows who runs it, the later
  // reading holds: a next run that is announced too early looks like one that did not come.
  const announced = read(true)
  let seen = Date.now()
  let due = announced?.after(seen)
  let pattern: Pattern | undefined
  let heard = false

  const plan = (by: Pattern | undefined, time: number | undefined, missed = 0): Planned => {
    const previous = due === undefined ? undefined : by?.before(due)
    const intervalMs = due === undefined || previous === undefined ? undefined : due - previous
    return { time, missed, nextTime: due, intervalMs }
  }
  const listen = (said: Said | undefined): void => {
    if (pattern !== undefined && (heard || said === undefined)) return
    heard = said !== undefined
    pattern = said?.pattern() ?? pattern ?? read(false)
    due = pattern?.after(seen)
  }
  return {
    next: () => plan(announced, undefined),
    run(now, said) {
      listen(said)
      if (pattern === undefined) return plan(undefined, said?.time)
      if (now < seen) due = pattern.after(now - 1_000) // the clock was set back: its times come again
      seen = now
      const early = said?.time === undefined && (due === undefined || now < due - EARLY_MS)
      if (said?.byHand || early || due === undefined) return plan(pattern, said?.time)

      const time = said?.time ?? Math.max(due, pattern.before(now + 1) ?? due)
      let missed = 0
      for (let at: number | undefined = due; at !== undefined && at < time && missed < MAX_MISSED; missed++) {
        at = pattern.after(at)
      }
      due = pattern.after(time)
      return plan(pattern, time, missed)
    },
  }
}

/** The timetable of a fixed interval, counted from the first run: nobody knows when the timer was started. */
export function intervalTimetable(intervalMs: number): Timetable {
  // By the monotonic clock, as timers are: setting the clock of the machine neither delays nor misses a run.
  let last: number | undefined
  const plan = (time: number | undefined, nextTime: number, missed = 0): Planned => {
    return { time, missed: Math.min(missed, MAX_MISSED), nextTime, intervalMs }
  }
  return {
    next: () => plan(undefined, Date.now() + intervalMs),
    run(now) {
      const clock = performance.now()
      const elapsed = last === undefined ? undefined : clock - last
      // Node counts in whole ms, so a timer may come a moment early; what comes much earlier was run by hand.
      if (elapsed !== undefined && elapsed < Math.min(0.9 * intervalMs, intervalMs - 2)) {
        return plan(undefined, now + intervalMs - elapsed)
      }
      last = clock
      if (elapsed === undefined) return plan(undefined, now + intervalMs)
      // A timer that fires late shifts all later ones, so each run is measured from the one before.
      const intervals = Math.max(1, Math.floor((elapsed + Math.min(2, 0.1 * intervalMs)) / intervalMs))
      return plan(now - Math.max(0, elapsed - intervals * intervalMs), now + intervalMs, intervals - 1)
    },
  }
}
