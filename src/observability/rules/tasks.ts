// Tasks: how many fail, and attempts that were lost.
import { gained } from '../promql.ts'
import type { Group, Making } from '../rule.ts'
import { counts, ratio } from './ratio.ts'

export function taskRules({ series, limits, recorded, alert }: Making): Group {
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
      alert('TasksLost', {
        expr: `sum by (queue, task_name) (${gained(series.lost, '15m')}) > 0`,
        summary: '{{ $labels.task_name }}: attempts on the queue {{ $labels.queue }} were lost',
        description:
          '{{ $value }} attempts ended without a word in the last 15 min: their worker was killed, or lost its lock.',
      }),
    ],
  }
}

export function percent(ratio: string): string {
  return `${Math.round(Number(ratio) * 10_000) / 100} %`
}
