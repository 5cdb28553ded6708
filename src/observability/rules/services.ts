// Services of others: more errors than they should make, and more than they made before.
import { gained } from '../promql.ts'
import type { Group, Making } from '../rule.ts'
import { percent } from './tasks.ts'

export function serviceRules({ series, limits, recorded, alert }: Making): Group {
  const rate = limits['ext-error-rate']
  const [calls, errors, ratio] = [
    recorded('ext_calls:count5m'),
    recorded('ext_errors:count5m'),
    recorded('ext_error:ratio'),
  ]
  const count = `${series.extDuration}_count`
  const before = (counted: string): string => `sum_over_time(${counted}[1h] offset 5m)`
  return {
    name: 'taskspan-services',
    rules: [
      { record: calls, expr: `sum by (service) (${gained(count, '5m')})` },
      { record: errors, expr: `sum by (service) (${gained(`${count}{result="error"}`, '5m')}) or ${calls} * 0` },
      { record: ratio, expr: `${errors} / ${calls} and ${calls} >= ${limits['at-least']}` },
      alert('ExternalErrorRateHigh', {
        // Compared with the hour before alone, an outage that lasts would end its own alert.
        expr: `(${ratio} > ${rate} unless on (service) ${ratio} < 3 * ${before(errors)} / ${before(calls)}) or ${ratio} > 0.5`,
        for: '2m',
        summary: 'Calls to {{ $labels.service }} fail',
        description: `{{ $value | humanizePercentage }} of its calls failed in the last 5 min (limit ${percent(rate)}, at least ${limits['at-least']} calls): three times as many as in the hour before, or more than half.`,
      }),
    ],
  }
}
