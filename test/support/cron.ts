// Real cron runners that end with their test, a clock that takes their timers along, and what runs said of a schedule.
import { Cron, type CronOptions } from 'croner'
import nodeCron, { type TaskContext, type TaskOptions } from 'node-cron'
import { onTestFinished, vi } from 'vitest'
import type { Recorded } from './record.ts'

/** Stops the clock at this moment; it and every timer move only with `pass()`. */
export function clockAt(moment: string): void {
  onTestFinished(() => void vi.useRealTimers())
  vi.useFakeTimers({
    toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'],
    now: new Date(moment),
  })
}

export const pass = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000)

export function croner(expression: string, options: CronOptions<unknown>, fn: (job: Cron) => Promise<unknown>): Cron {
  const job = new Cron(expression, options as CronOptions, fn as (job: Cron) => Promise<void>)
  onTestFinished(() => job.stop())
  return job
}

export function nodecron(expression: string, options: TaskOptions, fn: (context: TaskContext) => unknown) {
  const logger = { info() {}, warn() {}, error() {}, debug() {} }
  const task = nodeCron.schedule(expression, fn, { logger, suppressMissedWarning: true, ...options })
  onTestFinished(() => void task.destroy())
  return task
}

/** What each run of `cleanup` said of its schedule: when it was due, and how late it was. */
export function told({ spans }: Recorded) {
  return spans.named('taskiq.cleanup').map(({ attributes }) => ({
    time: attributes['taskiq.schedule.time'],
    drift: attributes['taskiq.schedule.drift_ms'],
  }))
}

export const outOfTurn = { time: undefined, drift: undefined }

/** From one character of its ISO text to another: `'2026-01-05T12:01:00.000Z'.slice(11, 16)` is `12:01`. */
export const times = (recorded: Recorded, from = 0, to = 24) =>
  told(recorded).map(({ time }) => String(time).slice(from, to))

export const value = ({ metrics }: Recorded, name: string) => metrics.value(name, { schedule: 'cleanup' })
export const missed = (recorded: Recorded) => value(recorded, 'taskiq_cron_missed_total')
export const nextRun = async (recorded: Recorded) => {
  const seconds = await value(recorded, 'taskiq_cron_next_run_timestamp_seconds')
  return seconds === undefined ? undefined : new Date(seconds * 1000).toISOString()
}
