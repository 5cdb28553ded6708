// Failure rates: of what ended in the last 5 min, or in the last hour where that is too little to judge.
import { gained } from '../promql.ts'
import type { Recording } from '../rule.ts'

/** Names of recorded series: how many ended in the last 5 min, and how many of them badly. */
export interface Counts {
  readonly ended: string
  readonly failed: string
}

/** Counted once, without the processes: the rates of an hour are made of this, for an hour of all raw series is too much. */
export function counts({ ended, failed }: Counts, all: string, bad: string, by: string): Recording[] {
  const count = (selector: string): string => `sum by (${by}) (${gained(selector, '5m', '15m')})`
  return [
    { record: ended, expr: count(all) },
    { record: failed, expr: `${count(bad)} or ${ended} * 0` },
  ]
}

/** Low traffic is judged too, only slower: 20 tasks may take an hour. */
export function ratio(record: string, { ended, failed }: Counts, by: string, atLeast: string): Recording {
  const within = (sum: (counted: string) => string): string =>
    `(${sum(failed)} / ${sum(ended)} and ${sum(ended)} >= ${atLeast})`
  const now = within((counted) => `sum by (${by}) (${counted})`)
  const hour = within((counted) => `sum by (${by}) (sum_over_time(${counted}[1h:5m]))`)
  return { record, expr: `${now}\nor\n${hour}` }
}
