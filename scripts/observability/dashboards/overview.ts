// Overview: what fails, how much there is to do, how long it takes, and who does it.
import { THRESHOLDS } from '../../../src/observability/thresholds.ts'
import { dashboard } from '../frame.ts'
import { cell, lines as logLines, of, spanOf, traces } from '../links.ts'
import { bars, lines, logs, number } from '../panels.ts'
import { ENDED, FAILED, max, nameOf, orZero, phrases, RANGE, share, sum } from '../phrases.ts'
import { table } from '../table.ts'

const { gauge, rate, counted, quantile, average } = phrases('queue', 'task')
const BY_TASK = 'queue, task_name'
const LEGEND = '{{queue}} {{task_name}}'
const ofTask = [
  traces('Traces of this task', `{ name = "${spanOf(of('task_name'))}" }`),
  logLines('Lines of this task', `{service=~".+"} | json | task_name="${of('task_name')}"`),
]

// The contract's failure rate: lost attempts are failures; retries, deferrals, cancellations and rejections are neither.
const failureRate = (by: string, over: string, enough?: string): string =>
  share(
    sum(by, counted('tasks', { outcome: FAILED }, over)),
    sum(by, counted('tasks', { outcome: ENDED }, over)),
    enough,
  )
const ENOUGH = `>= ${THRESHOLDS['at-least'].default}`
const backlog = max('queue, state', gauge('queueDepth', { state: '~waiting|prioritized' }))
const silent = `time() - ${max('schedule', gauge('cronLastSuccess'))} > clamp_min(2 * ${max('schedule', gauge('cronInterval'))}, 120)`
const reporting = `${nameOf('workerInfo')}{app=~"$app",worker=~"$worker"}`

const now = [
  number({
    title: 'Tasks ended',
    what: 'Attempts that ended per second, however they ended.',
    unit: 'suffix:/s',
    expr: sum('', rate('tasks')),
  }),
  number({
    title: 'Failure rate',
    what: 'Failed and lost tasks, as a part of all that succeeded, failed or were lost, in the time shown; from 20 such tasks on.',
    alerts: ['TaskFailureRateHigh'],
    lines: ['failure-rate'],
    unit: 'percentunit',
    none: 'under 20 tasks',
    expr: failureRate('', RANGE, ENOUGH),
  }),
  number({
    title: 'Failed or lost',
    what: 'Tasks that failed for good or were lost, in the time shown. The table below says which.',
    alerts: ['TaskFailureRateHigh', 'TasksLost'],
    bad: 1,
    expr: orZero(sum('', counted('tasks', { outcome: FAILED }))),
  }),
  number({
    title: 'Running',
    what: 'Task attempts that run at this moment.',
    expr: sum('', gauge('inProgress')),
  }),
  number({
    title: 'Waiting',
    what: 'Messages that are ready and not taken yet, in all queues: waiting and prioritized. The limits are those of one queue.',
    alerts: ['QueueBacklogHigh'],
    lines: ['depth', 'depth-critical'],
    none: 'not watched',
    expr: sum('', backlog),
  }),
  number({
    title: 'Schedules silent',
    what: 'Schedules that have not succeeded for more than twice their interval. The Schedules dashboard says which.',
    alerts: ['CronSilent'],
    bad: 1,
    expr: orZero(`count(${silent})`),
  }),
  number({
    title: 'Workers',
    what: 'Processes that say who they are, and are scraped.',
    alerts: ['WorkerGone'],
    expr: orZero(`count(${reporting})`),
  }),
  number({
    title: 'Workers gone',
    what: 'Workers, by app and name, that reported in the time shown and of which no process is left; and processes that cannot be scraped.',
    alerts: ['WorkerGone', 'WorkerDown'],
    bad: 1,
    expr: `(${orZero(`count(count by (app, worker) (last_over_time(${reporting}[${RANGE}])) unless count by (app, worker) (${reporting}))`)}) + (${orZero(`count((up == 0) and on (instance) last_over_time(${reporting}[${RANGE}]))`)})`,
  }),
]

const failures = [
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

const red = [
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

const ofOperation = [traces('Traces of this operation', `{ name = "${of('operation')}" }`)]
const services = [
  lines({
    title: 'Service operations: p50, p95, p99',
    what: 'How long calls under service() took, by operation. Dots lead to traces.',
    unit: 's',
    exemplars: true,
    queries: [0.5, 0.95, 0.99].map((q) => ({
      expr: quantile(q, 'operation', 'serviceDuration'),
      legend: `{{operation}} p${q * 100}`,
    })),
    links: ofOperation,
  }),
  lines({
    title: 'Service operations: rate',
    what: 'Calls under service() per second.',
    unit: 'suffix:/s',
    w: 6,
    queries: [{ expr: sum('operation', rate('serviceDuration', {}, undefined, '_count')), legend: '{{operation}}' }],
    links: ofOperation,
  }),
  lines({
    title: 'Service operations: errors',
    what: 'Calls under service() that threw, as a part of all.',
    unit: 'percentunit',
    w: 6,
    queries: [
      {
        expr: share(
          sum('operation', rate('serviceDuration', { result: 'error' }, undefined, '_count')),
          sum('operation', rate('serviceDuration', {}, undefined, '_count')),
        ),
        legend: '{{operation}}',
      },
    ],
    links: ofOperation,
  }),
]

// The trace id is written as in the line itself: by that Grafana's data source finds it, and makes it a link.
const LINE =
  '{{.message}} {{.task_name}} {{.step}} {{.error_type}} {{.error_message}} {{if .trace_id}}"trace_id":"{{.trace_id}}"{{end}}'
const log = logs({
  title: 'Warnings and errors',
  what: 'What the chosen workers wrote at warning and above about the chosen tasks. A line leads to its trace.',
  w: 24,
  h: 10,
  logql:
    '{service=~"($app)-?($worker)", level=~"warning|error|critical"} | json ' +
    `| queue=~"$queue" | task_name=~"$task" | line_format \`${LINE}\``,
})

export const overview = dashboard({
  name: 'overview',
  title: 'Overview',
  what: 'What fails, how much there is to do, how long it takes, and who does it. The others go into detail.',
  choices: ['queue', 'task'],
  rows: {
    Now: now,
    Failures: failures,
    'Rate, errors, duration': red,
    'Own services': services,
    Log: [log],
    // Empty on purpose: examples/ shows how a team puts its own panels here.
    'Your business metrics': [],
  },
})
