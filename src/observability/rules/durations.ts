// Tasks that take long. Their histograms are most of all series, and so of what rules cost: they are read once a minute.
import { inWords, secondsOf } from '../durations.ts'
import { anyOf } from '../promql.ts'
import type { Group, Making } from '../rule.ts'

export function durationRules({ series, limits, alert }: Making): Group {
  const own = Object.entries(limits.perTask)
  const general = own.length === 0 ? '' : `{task_name!~${anyOf(Object.keys(limits.perTask))}}`
  const all = [{ selector: general, limit: limits.duration, labels: {} }]
  for (const [task, limit] of own) {
    // The label tells two rules of one name apart; it is the one that the series has anyway.
    all.push({ selector: `{task_name=${JSON.stringify(task)}}`, limit, labels: { task_name: task } })
  }
  const rate = (part: string, selector: string): string => `rate(${series.duration}_${part}${selector}[5m])`
  const rules = all.map(({ selector, limit, labels }) => {
    const seconds = secondsOf(limit)
    const told = { for: '5m', labels, summary: '{{ $labels.task_name }} takes long on the queue {{ $labels.queue }}' }
    return [
      alert('TaskDurationP99High', {
        ...told,
        expr: `histogram_quantile(0.99, sum by (queue, task_name, le) (${rate('bucket', selector)})) > ${seconds}`,
        description: `One in a hundred attempts takes {{ $value | humanizeDuration }} or more (p99, limit ${inWords(limit)}), for 5 min.`,
      }),
      alert('TaskDurationAverageHigh', {
        ...told,
        expr: `sum by (queue, task_name) (${rate('sum', selector)}) / sum by (queue, task_name) (${rate('count', selector)}) > ${seconds}`,
        description: `Attempts take {{ $value | humanizeDuration }} on average (limit ${inWords(limit)}), for 5 min.`,
      }),
    ]
  })
  return { name: 'taskspan-durations', interval: '1m', rules: rules.flat() }
}
