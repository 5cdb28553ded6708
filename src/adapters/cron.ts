// Cron runners (croner, node-cron, setInterval): each tick as a task in a trace of its own.
import { compose, notify } from '../kernel/compose.ts'
import { consumer } from '../kernel/consumer.ts'
import { atLeast, checkOptions, show, TaskspanError } from '../kernel/errors.ts'
import { guard } from '../kernel/faults.ts'
import { CRON_QUEUE } from '../kernel/names.ts'
import type { Adapter, Middleware, Schedule } from '../kernel/task.ts'
import { saidBy } from './cron/runner.ts'
import { cronTimetable, intervalTimetable, type Planned, type Timetable } from './cron/timetable.ts'

export interface TickOptions {
  /**
   * The cron expression that the runner uses. Croner and node-cron tell it themselves, from the first run on: with it the
   * next run is known before that, and other runners' drift and missed runs are known at all.
   */
  readonly schedule?: string | undefined
  /** IANA time zone of `schedule`, such as `Europe/Berlin`. Default: the process's. */
  readonly timezone?: string | undefined
  /** For `setInterval`: its interval in ms, instead of `schedule`. */
  readonly intervalMs?: number | undefined
}

/**
 * Wraps the function of one schedule; arguments, result and error pass through.
 *
 * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION` (also for a cron expression that cannot be read)
 */
export type Tick = <This, Args extends unknown[], Result>(
  name: string,
  fn: (this: This, ...args: Args) => Result | Promise<Result>,
  options?: TickOptions,
) => (this: This, ...args: Args) => Promise<Result>

interface Run {
  readonly name: string
  readonly schedule: Schedule
}

/**
 * Instruments cron runners: each run is a task of type `cron` under the queue `cron`, in a trace of its own.
 *
 * Runs that overlap are counted and reported, not prevented: that is the runner's business.
 *
 * @example
 * const tick = cron(telemetry())
 * new Cron('0 3 * * *', tick('cleanup_expired_exports', () => exports.cleanup(), { schedule: '0 3 * * *' }))
 */
export function cron(...middleware: Middleware[]): Tick {
  const onion = compose(...middleware)
  const consume = consumer(cronAdapter, onion)

  return (name, fn, options = {}) => {
    const timetable = timetableOf(name, fn, options)
    announce(onion, name, timetable)
    let running = 0

    return async function tick(...args) {
      const now = Date.now()
      const plan = guard('cron', 'timetable', () => timetable.run(now, saidBy(args)))
      if (plan !== undefined && plan.missed > 0) {
        notify(onion, { kind: 'schedule', event: 'missed', schedule: name, count: plan.missed })
      }
      if (running > 0) notify(onion, { kind: 'schedule', event: 'overlapped', schedule: name, count: 1 })
      running++
      try {
        return await consume({ name, schedule: scheduleOf(name, plan, now) }, () => fn.apply(this, args))
      } finally {
        running--
      }
    }
  }
}

const cronAdapter: Adapter<Run> = {
  system: undefined,
  read: ({ name, schedule }) => ({ name, queue: CRON_QUEUE, type: 'cron', schedule }),
}

function scheduleOf(id: string, plan: Planned | undefined, now: number): Schedule {
  if (plan === undefined) return { id }
  const { time, nextTime, intervalMs } = plan
  return { id, time, nextTime, intervalMs, driftMs: time === undefined ? undefined : Math.max(0, now - time) }
}

// A schedule that never fires has no run to say so: its next run stands in the metrics from the beginning.
function announce(onion: Middleware, name: string, timetable: Timetable): void {
  const plan = guard('cron', 'timetable', () => timetable.next())
  if (plan?.nextTime !== undefined) notify(onion, { kind: 'planned', schedule: scheduleOf(name, plan, Date.now()) })
}

function timetableOf(name: string, fn: unknown, options: TickOptions): Timetable {
  if (typeof name !== 'string' || name === '') {
    throw new TaskspanError('INVALID_OPTION', `cron: the name must be a non-empty string, got ${show(name)}.`)
  }
  if (typeof fn !== 'function') {
    throw new TaskspanError('INVALID_OPTION', `cron: tick('${name}') needs a function, got ${show(fn)}.`)
  }
  checkOptions(`cron: tick('${name}')`, options, { schedule: 'string', timezone: 'string', intervalMs: atLeast(1) })
  const { schedule, timezone, intervalMs } = options
  if (schedule !== undefined && intervalMs !== undefined) {
    throw new TaskspanError('INVALID_OPTION', `cron: tick('${name}') takes 'schedule' or 'intervalMs', not both.`)
  }
  if (schedule === undefined && timezone !== undefined) {
    throw new TaskspanError('INVALID_OPTION', `cron: tick('${name}'): 'timezone' needs 'schedule'.`)
  }
  if (intervalMs !== undefined) return intervalTimetable(intervalMs)
  try {
    return cronTimetable(schedule === undefined ? undefined : { schedule, timezone })
  } catch (cause) {
    const at = timezone === undefined ? show(schedule) : `${show(schedule)} in ${show(timezone)}`
    const what = `cron: tick('${name}') cannot read the schedule ${at}. If your runner can, leave it out here.`
    throw new TaskspanError('INVALID_OPTION', what, { cause })
  }
}
