// The moments that a schedule means, forwards and backwards: croner reads the expressions, whoever runs them.
import { Cron, type CronOptions } from 'croner'

/** Moments in ms since the epoch. */
export interface Pattern {
  after(ms: number): number | undefined
  before(ms: number): number | undefined
}

/** Opens nothing: a pattern without a function has no timer. Throws what croner says of a wrong expression. */
export function patternOf(expression: string | Date, options: CronOptions = {}): Pattern {
  const reader = new Cron(expression, options)
  return {
    after: (ms) => reader.nextRun(new Date(ms))?.getTime(),
    before: (ms) => reader.previousRuns(1, new Date(ms))[0]?.getTime(),
  }
}
