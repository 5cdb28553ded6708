// Messages that handlers refused, by class: each class has another meaning, and so another measure.
import { gained } from '../promql.ts'
import type { Group, Making } from '../rule.ts'

// A rolling release meets some messages that the old version does not know yet.
const TRICKLE = 10
const SPIKE = 20

export function rejectionRules({ series, recorded, alert }: Making): Group {
  const refused = (reason: string): string =>
    `sum by (queue) (${gained(`${series.rejected}{reason="${reason}"}`, '15m')})`
  const expired = recorded('messages_expired:count15m')
  return {
    name: 'taskspan-rejections',
    rules: [
      alert('MessagesMalformed', {
        expr: `${refused('malformed')} > 0`,
        summary: 'Malformed messages on the queue {{ $labels.queue }}',
        description: '{{ $value }} messages could not be read by their handler in the last 15 min.',
      }),
      alert('MessagesUnknownTask', {
        expr: `${refused('unknown_task')} > ${TRICKLE}`,
        summary: 'Messages for unknown tasks on the queue {{ $labels.queue }}',
        description: `{{ $value }} messages in the last 15 min were for a task that no handler knows (limit ${TRICKLE}).`,
      }),
      { record: expired, expr: refused('expired') },
      alert('MessagesExpired', {
        expr: `${expired} > ${SPIKE} unless on (queue) ${expired} <= 3 * avg_over_time(${expired}[1h] offset 15m)`,
        summary: 'Many messages expired on the queue {{ $labels.queue }}',
        description: `{{ $value }} messages in the last 15 min came too late to be of use (limit ${SPIKE}), more than three times as many as in the hour before.`,
      }),
    ],
  }
}
