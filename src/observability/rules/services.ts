// Services of others: more errors than they should make, and more than they made before.
import type { Group, Making } from '../rule.ts'
import { counts, ratio } from './ratio.ts'
import { percent } from './tasks.ts'

export function serviceRules({ series, limits, recorded, alert }: Making): Group {
  const rate = limits['ext-error-rate']
  const counted = { ended: recorded('ext_calls:count5m'), failed: recorded('ext_errors:count5m') }
  const failing = recorded('ext_error:ratio')
  const count = `${series.extDuration}_count`
  const before = (recordedCount: string): string => `sum_over_time(${recordedCount}[1h] offset 5m)`
  return {
    name: 'taskspan-services',
    rules: [
      ...counts(counted, count, `${count}{result="error"}`, 'service'),
      ratio(failing, counted, 'service', limits['at-least']),
      alert('ExternalErrorRateHigh', {
        // Compared with the hour before alone, an outage that lasts would end its own alert.
        expr: `(${failing} > ${rate} unless on (service) ${failing} < 3 * ${before(counted.failed)} / ${before(counted.ended)}) or ${failing} > 0.5`,
        for: '2m',
        summary: 'Calls to {{ $labels.service }} fail',
        description: `{{ $value | humanizePercentage }} of its calls failed (limit ${percent(rate)}, at least ${limits['at-least']} calls): three times as many as in the hour before, or more than half.`,
      }),
    ],
  }
}
