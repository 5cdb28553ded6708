// Failure rates: of what ended in the last 5 min, or in the last hour where that is too little to judge.
import { gained } from '../promql.ts'
import type { Recording } from '../rule.ts'

interface Counted {
  /** Name of the series to record. */
  readonly record: string
  readonly all: string
  readonly bad: string
  readonly by: string
  readonly atLeast: string
}

/** Low traffic is judged too, only slower: 20 tasks may take an hour. */
export function ratio(counted: Counted): Recording {
  return { record: counted.record, expr: `${within(counted, '5m')}\nor\n${within(counted, '1h')}` }
}

function within({ all, bad, by, atLeast }: Counted, window: string): string {
  const ended = `sum by (${by}) (${gained(all, window)})`
  const failed = `sum by (${by}) (${gained(bad, window)})`
  return `((${failed} or ${ended} * 0) / ${ended} and ${ended} >= ${atLeast})`
}
