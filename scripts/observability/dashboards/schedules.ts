// Schedules: did it run, when does it run next, and does it keep its time?
import { dashboard } from '../frame.ts'
import { cell, lines as logLines, of, spanOf, traces } from '../links.ts'
import { bars, lines, number } from '../panels.ts'
import { max, orZero, phrases, sum } from '../phrases.ts'
import { table } from '../table.ts'

const { gauge, last, counted, quantile } = phrases('schedule', 'queue', 'task')
const SCHEDULE = '{{schedule}}'
const SEEN_BY_ALL = 'Every worker that watches reports the same, so this is their maximum.'
const attribute = `span.${spanOf('schedule.id')}`

// A schedule whose process has died is the one that is looked for.
const lastSuccess = max('schedule', last('cronLastSuccess'))
const nextRun = max('schedule', last('cronNextRun'))
const interval = max('schedule', last('cronInterval'))
/** Whoever counted them: a schedule that several workers watch is counted by each. */
const events = (key: 'cronMissed' | 'cronOverlaps', over?: string): string => max('schedule', counted(key, {}, over))

const now = [
  number({
    title: 'Schedules',
    what: 'Schedules that were told of in the time shown, also by processes that have ended since.',
    alerts: ['CronSilent'],
    w: 4,
    expr: orZero(`count(${nextRun} or ${lastSuccess})`),
  }),
  number({
    title: 'Silent',
    what: 'Schedules that have not succeeded for more than twice their interval.',
    alerts: ['CronSilent'],
    bad: 1,
    w: 5,
    expr: orZero(`count(time() - ${lastSuccess} > clamp_min(2 * ${interval}, 120))`),
  }),
  number({
    title: 'Due and not started',
    what: 'Schedules whose next run should have begun more than 5 min ago.',
    alerts: ['CronMissed'],
    bad: 1,
    w: 5,
    expr: orZero(`count(time() - ${nextRun} > 300)`),
  }),
  number({
    title: 'Missed',
    what: 'Runs that did not start, in the time shown.',
    alerts: ['CronMissed'],
    bad: 1,
    w: 5,
    expr: orZero(sum('', events('cronMissed'))),
  }),
  number({
    title: 'Overlaps',
    what: 'Runs that started while another of the same schedule still ran, in the time shown.',
    alerts: ['CronOverlapping'],
    bad: 1,
    w: 5,
    expr: orZero(sum('', events('cronOverlaps'))),
  }),
]

const each = table({
  title: 'Did it run?',
  what: `Each schedule, also those of processes that have ended since: when it last succeeded, how long ago that is in intervals (2 is too long), when it runs next, what it missed in the time shown. Without a last success it has not succeeded while anybody watched. ${SEEN_BY_ALL}`,
  alerts: ['CronSilent', 'CronMissed', 'CronOverlapping'],
  w: 24,
  by: { schedule: 'Schedule' },
  columns: [
    { name: 'Last success', expr: `${lastSuccess} * 1000`, unit: 'dateTimeAsIso' },
    { name: 'Ago', expr: `time() - ${lastSuccess}`, unit: 'dtdurations' },
    { name: 'In intervals', expr: `(time() - ${lastSuccess}) / (${interval} > 0)`, unit: 'short', bad: 2 },
    { name: 'Next run', expr: `${nextRun} * 1000`, unit: 'dateTimeAsIso' },
    { name: 'Interval', expr: interval, unit: 'dtdurations' },
    { name: 'Missed', expr: events('cronMissed'), unit: 'short', bad: 1 },
    { name: 'Overlaps', expr: events('cronOverlaps'), unit: 'short', bad: 1 },
  ],
  sortBy: 'In intervals',
  links: [
    traces('Runs of this schedule', `{ ${attribute} = "${cell('Schedule')}" }`),
    logLines('Its lines', `{service=~".+"} | json | schedule_id="${cell('Schedule')}"`),
  ],
})

const ofSchedule = [traces('Runs of this schedule', `{ ${attribute} = "${of('schedule')}" }`)]
const overTime = [
  lines({
    title: 'Since the last success, in intervals',
    what: `1 is one interval; at 2 a run has been missed or has failed. ${SEEN_BY_ALL}`,
    alerts: ['CronSilent'],
    bad: 2,
    unit: 'short',
    w: 8,
    queries: [
      {
        expr: `(time() - ${max('schedule', gauge('cronLastSuccess'))}) / (${max('schedule', gauge('cronInterval'))} > 0)`,
        legend: SCHEDULE,
      },
    ],
    links: ofSchedule,
  }),
  lines({
    title: 'Until the next run',
    what: `Time that is left; below 0 the run is late. ${SEEN_BY_ALL}`,
    alerts: ['CronMissed'],
    unit: 's',
    signed: true,
    w: 8,
    queries: [{ expr: `${max('schedule', gauge('cronNextRun'))} - time()`, legend: SCHEDULE }],
    links: ofSchedule,
  }),
  lines({
    title: 'Drift p50, p95, p99',
    what: 'How late runs started.',
    unit: 's',
    exemplars: true,
    w: 8,
    queries: [0.5, 0.95, 0.99].map((q) => ({
      expr: quantile(q, 'schedule', 'cronDrift'),
      legend: `${SCHEDULE} p${q * 100}`,
    })),
    links: ofSchedule,
  }),
]

const runs = [
  bars({
    title: 'Missed',
    what: `Runs that did not start, per minute or longer step. ${SEEN_BY_ALL}`,
    alerts: ['CronMissed'],
    unit: 'short',
    w: 6,
    queries: [{ expr: `${events('cronMissed', '$__interval')} > 0`, legend: SCHEDULE }],
  }),
  bars({
    title: 'Overlaps',
    what: `Runs that started while another still ran, per minute or longer step. ${SEEN_BY_ALL}`,
    alerts: ['CronOverlapping'],
    unit: 'short',
    w: 6,
    queries: [{ expr: `${events('cronOverlaps', '$__interval')} > 0`, legend: SCHEDULE }],
  }),
  bars({
    title: 'Scheduled tasks by outcome',
    byOutcome: true,
    what: 'Attempts of tasks that a schedule began, per minute or longer step.',
    alerts: ['TaskFailureRateHigh'],
    unit: 'short',
    w: 6,
    queries: [
      {
        expr: `${sum('task_name, outcome', counted('tasks', { task_type: 'cron' }, '$__interval'))} > 0`,
        legend: '{{task_name}} {{outcome}}',
      },
    ],
    links: [traces('Traces of this task', `{ name = "${spanOf(of('task_name'))}" }`)],
  }),
  lines({
    title: 'Duration p95 of scheduled tasks',
    what: 'One run in twenty took longer. A run that takes longer than its interval overlaps. Dots lead to traces.',
    alerts: ['TaskDurationP99High', 'CronOverlapping'],
    unit: 's',
    exemplars: true,
    w: 6,
    queries: [{ expr: quantile(0.95, 'task_name', 'duration', { task_type: 'cron' }), legend: '{{task_name}}' }],
    links: [traces('Traces of this task', `{ name = "${spanOf(of('task_name'))}" }`)],
  }),
]

export const schedules = dashboard({
  name: 'schedules',
  title: 'Schedules',
  what: 'Did it run, when does it run next, and does it keep its time?',
  choices: ['schedule', 'queue', 'task'],
  rows: { Now: now, 'Each schedule': [each], Time: overTime, Runs: runs },
})
