// Tasks: how many fail, how long they take, attempts that were lost.
import { inWords, secondsOf } from '../durations.ts'
import { anyOf, gained } from '../promql.ts'
import type { AlertRule, Group, Making } from '../rule.ts'
import { counts, ratio } from './ratio.ts'

export function taskRules(making: Making): Group {
  const { series, limits, recorded, alert } = making
  const rate = limits['failure-rate']
  const [byTask, byQueue] = [recorded('task_failure:ratio'), recorded('queue_failure:ratio')]
  const counted = { ended: recorded('tasks_ended:count5m'), failed: recorded('tasks_failed:count5m') }
  return {
    name: 'taskspan-tasks',
    rules: [
      ...counts(
        counted,
        `${series.tasks}{outcome=~"success|failure|lost"}`,
        `${series.tasks}{outcome=~"failure|lost"}`,
        'queue, task_name',
      ),
      ratio(byTask, counted, 'queue, task_name', limits['at-least']),
      ratio(byQueue, counted, 'queue', limits['at-least']),
      alert('TaskFailureRateHigh', {
        // A queue as a whole where none of its tasks alone is at fault, or none alone runs often enough.
        expr: `${byTask} > ${rate} or (${byQueue} > ${rate} unless on (queue) ${byTask} > ${rate})`,
        for: '5m',
        summary: '{{ with $labels.task_name }}{{ . }}: {{ end }}tasks of the queue {{ $labels.queue }} fail',
        description: `{{ $value | humanizePercentage }} of the tasks that ended failed or were lost (limit ${percent(rate)}, at least ${limits['at-least']} tasks), for 5 min.`,
      }),
      ...durations(making),
      alert('TasksLost', {
        expr: `sum by (queue, task_name) (${gained(series.lost, '15m')}) > 0`,
        summary: '{{ $labels.task_name }}: attempts on the queue {{ $labels.queue }} were lost',
        description:
          '{{ $value }} attempts ended without a word in the last 15 min: their worker was killed, or lost its lock.',
      }),
    ],
  }
}

function durations({ series, limits, alert }: Making): AlertRule[] {
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
  return rules.flat()
}

export function percent(ratio: string): string {
  return `${Math.round(Number(ratio) * 10_000) / 100} %`
}
