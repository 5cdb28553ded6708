// The first row of the overview: one number for each thing that may be wrong.
import { number } from '../../panels.ts'
import { FAILED, max, nameOf, orZero, RANGE, sum } from '../../phrases.ts'
import { counted, ENOUGH, failureRate, gauge, last, rate } from './words.ts'

const backlog = max('queue, state', gauge('queueDepth', { state: '~waiting|prioritized' }))
// Also where the process that told of it has died.
const silent = `time() - ${max('schedule', last('cronLastSuccess'))} > clamp_min(2 * ${max('schedule', last('cronInterval'))}, 120)`
const reporting = `${nameOf('workerInfo')}{app=~"$app",worker=~"$worker"}`

export const now = [
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
    what: 'Workers, by app and name, that reported in the time shown and of which no process is left. The Workers dashboard also has single processes.',
    alerts: ['WorkerGone'],
    bad: 1,
    expr: orZero(
      `count(count by (app, worker) (last_over_time(${reporting}[${RANGE}])) unless count by (app, worker) (${reporting}))`,
    ),
  }),
]
