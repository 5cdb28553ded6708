// Tasks on the overview: which failed and why, their rate, errors and durations.
import { cell, lines as logLines, spanOf, traces } from '../../links.ts'
import { bars, lines } from '../../panels.ts'
import { RANGE, sum } from '../../phrases.ts'
import { table } from '../../table.ts'
import { average, BY_TASK, counted, ENOUGH, failureRate, LEGEND, ofTask, quantile, rate } from './words.ts'

export const failures = [
  table({
    title: 'Which task failed',
    what: 'Every task that failed or was lost in the time shown: how often, and what part of its endings that is. A click on a name leads to its failed traces and its lines.',
    alerts: ['TaskFailureRateHigh'],
    by: { queue: 'Queue', task_name: 'Task' },
    columns: [
      {
        name: 'Failed',
        expr: `round(${sum(BY_TASK, counted('tasks', { outcome: 'failure' }))}) > 0`,
        unit: 'short',
        bad: 1,
      },
      {
        name: 'Lost',
        expr: `round(${sum(BY_TASK, counted('tasks', { outcome: 'lost' }))}) > 0`,
        unit: 'short',
        bad: 1,
      },
      {
        name: 'Failure rate',
        expr: `${failureRate(BY_TASK, RANGE)} > 0`,
        unit: 'percentunit',
        lines: ['failure-rate'],
      },
    ],
    sortBy: 'Failed',
    links: [
      traces('Failed traces', `{ name = "${spanOf(cell('Task'))}" && status = error }`),
      logLines('Error lines', `{service=~".+", level="error"} | json | task_name="${cell('Task')}"`),
    ],
  }),
  bars({
    title: 'Failures by task and error',
    what: 'Tasks that failed for good or were lost, per minute or longer step, by the class or code of their error.',
    alerts: ['TaskFailureRateHigh', 'TasksLost'],
    unit: 'short',
    exemplars: true,
    queries: [
      {
        expr: `${sum('task_name, error_type', counted('failures', {}, '$__interval'))} > 0`,
        legend: '{{task_name}} {{error_type}}',
      },
    ],
    links: ofTask,
  }),
]

export const red = [
  lines({
    title: 'Rate by outcome',
    what: 'Attempts that ended per second: retry means that it failed and runs again.',
    unit: 'suffix:/s',
    stacked: true,
    w: 8,
    byOutcome: true,
    queries: [{ expr: sum('outcome', rate('tasks')), legend: '{{outcome}}' }],
  }),
  lines({
    title: 'Rate by queue and task',
    what: 'Attempts that ended per second.',
    unit: 'suffix:/s',
    w: 8,
    queries: [{ expr: sum(BY_TASK, rate('tasks')), legend: LEGEND }],
    links: ofTask,
  }),
  lines({
    title: 'Failure rate by queue and task',
    what: 'Failed and lost, as a part of all that succeeded, failed or were lost in the last 5 min, or in the last hour where 5 min had fewer than 20. What is still rarer stands in the table above.',
    alerts: ['TaskFailureRateHigh'],
    lines: ['failure-rate'],
    unit: 'percentunit',
    w: 8,
    queries: [
      { expr: `${failureRate(BY_TASK, '5m', ENOUGH)} or ${failureRate(BY_TASK, '1h', ENOUGH)}`, legend: LEGEND },
    ],
    links: ofTask,
  }),
  lines({
    title: 'Duration p50 and p95 by queue and task',
    what: 'How long attempts ran: half of them shorter than p50, one in twenty longer than p95. Dots lead to traces.',
    unit: 's',
    exemplars: true,
    w: 8,
    queries: [
      { expr: quantile(0.5, BY_TASK, 'duration'), legend: `${LEGEND} p50` },
      { expr: quantile(0.95, BY_TASK, 'duration'), legend: `${LEGEND} p95` },
    ],
    links: ofTask,
  }),
  lines({
    title: 'Duration p99 by queue and task',
    what: 'One attempt in a hundred ran longer. Dots lead to traces.',
    alerts: ['TaskDurationP99High'],
    lines: ['duration'],
    unit: 's',
    exemplars: true,
    w: 8,
    queries: [{ expr: quantile(0.99, BY_TASK, 'duration'), legend: LEGEND }],
    links: ofTask,
  }),
  lines({
    title: 'Average duration by queue and task',
    what: 'How long attempts ran on average.',
    alerts: ['TaskDurationAverageHigh'],
    lines: ['duration'],
    unit: 's',
    w: 8,
    queries: [{ expr: average(BY_TASK, 'duration'), legend: LEGEND }],
    links: ofTask,
  }),
]
