// Tasks and refused messages.
import { type Firing, flat, ramp, type Samples } from '../promtool.ts'
import type { ShownAlerts } from './shape.ts'

const ended = (task: string, outcome: string, instance = 'a'): string =>
  `taskiq_tasks_total{instance="${instance}",queue="render",task_name="${task}",task_type="on_demand",outcome="${outcome}"}`
const then = (first: Samples, second: Samples): Samples => [...first, ...second]
/** Rises for so many minutes, then stays. */
const risen = (perMinute: number, minutes: number, still: number): Samples =>
  then(ramp(perMinute, minutes), flat(perMinute * (minutes - 1), still))

const failing = (rate: string, task?: string): Firing => ({
  labels: { severity: 'critical', queue: 'render', ...(task !== undefined && { task_name: task }) },
  summary: `${task === undefined ? '' : `${task}: `}tasks of the queue render fail`,
  description: `${rate} of the tasks that ended failed or were lost (limit 5 %, at least 20 tasks), for 5 min.`,
})

const bucket = (le: string): string =>
  `taskiq_tasks_duration_seconds_bucket{queue="render",task_name="clip",task_type="on_demand",result="ok",le="${le}"}`
const buckets = (to10: Samples, to30: Samples, to60: Samples): Record<string, Samples> => ({
  [bucket('10')]: to10,
  [bucket('30')]: to30,
  [bucket('60')]: to60,
  [bucket('+Inf')]: to60,
})
const duration = (part: 'sum' | 'count'): string =>
  `taskiq_tasks_duration_seconds_${part}{queue="render",task_name="clip",task_type="on_demand",result="ok"}`
const long = (description: string): Firing => ({
  labels: { severity: 'warning', queue: 'render', task_name: 'clip' },
  summary: 'clip takes long on the queue render',
  description,
})

const rejected = (reason: string): string => `taskiq_messages_rejected_total{queue="render",reason="${reason}"}`
const LOST = 'taskiq_tasks_lost_total{queue="render",task_name="clip"}'
const refused = (summary: string, description: string): Firing => ({
  labels: { severity: 'warning', queue: 'render' },
  summary,
  description,
})
const nothing: Samples = flat(0, 40)

export const TASKS: ShownAlerts = {
  TaskFailureRateHigh: {
    over: {
      series: { [ended('clip', 'success')]: ramp(18, 60), [ended('clip', 'failure')]: risen(2, 21, 40) },
      at: { 5: [], 7: [failing('10%', 'clip')], 20: [failing('10%', 'clip')], 30: [] },
    },
    atLimit: {
      series: { [ended('clip', 'success')]: ramp(19, 60), [ended('clip', 'failure')]: ramp(1, 60) },
      at: { 10: [], 30: [], 59: [] },
    },
    also: {
      'counts lost attempts as failures, and neither retries nor rejections at all': {
        series: {
          [ended('clip', 'success')]: ramp(18, 30),
          [ended('clip', 'lost')]: ramp(2, 30),
          [ended('clip', 'retry')]: ramp(500, 30),
          [ended('clip', 'rejected')]: ramp(500, 30),
        },
        at: { 20: [failing('10%', 'clip')] },
      },
      'is silent over 19 tasks that all failed': {
        series: { [ended('clip', 'failure')]: [undefined, ...flat(19, 90)] },
        at: { 5: [], 15: [], 60: [] },
      },
      'judges 20 tasks of a whole hour where few run': {
        series: { [ended('clip', 'failure')]: risen(0.5, 61, 90) },
        at: { 30: [], 50: [failing('100%', 'clip')], 59: [failing('100%', 'clip')], 130: [] },
      },
      'sees the first failure of each of many processes, with which its counter appears': {
        series: {
          ...Object.fromEntries(
            Array.from({ length: 10 }, (_, at) => [
              ended('clip', 'failure', `pod-${at}`),
              [...flat(0, 10).map(() => undefined), ...flat(1, 20)],
            ]),
          ),
          [ended('clip', 'success')]: then(flat(0, 10), flat(40, 20)),
        },
        at: { 9: [], 15: [failing('20%', 'clip')] },
      },
      'judges the queue as a whole where none of its tasks alone ran often enough': {
        series: Object.fromEntries(
          ['a', 'b', 'c'].map((task) => [ended(task, 'failure'), [undefined, ...flat(9, 30)]]),
        ),
        at: { 3: [], 6: [failing('100%')] },
      },
    },
  },
  TaskDurationP99High: {
    over: {
      series: buckets(nothing, nothing, risen(1, 21, 20)),
      at: { 5: [], 8: [long('One in a hundred attempts takes 59.7s or more (p99, limit 30 s), for 5 min.')], 30: [] },
    },
    atLimit: { series: buckets(ramp(98, 40), ramp(99, 40), ramp(100, 40)), at: { 10: [], 39: [] } },
  },
  TaskDurationAverageHigh: {
    over: {
      series: { [duration('sum')]: risen(40, 21, 20), [duration('count')]: risen(1, 21, 20) },
      at: { 5: [], 8: [long('Attempts take 40s on average (limit 30 s), for 5 min.')], 30: [] },
    },
    atLimit: { series: { [duration('sum')]: ramp(30, 40), [duration('count')]: ramp(1, 40) }, at: { 10: [], 39: [] } },
  },
  TasksLost: {
    over: {
      // The counter appears with its first event.
      series: { [LOST]: [undefined, undefined, ...flat(1, 30)] },
      at: {
        1: [],
        2: [
          {
            labels: { severity: 'warning', queue: 'render', task_name: 'clip' },
            summary: 'clip: attempts on the queue render were lost',
            description:
              '1 attempts ended without a word in the last 15 min: their worker was killed, or lost its lock.',
          },
        ],
        18: [],
      },
    },
    atLimit: { series: { [LOST]: then(flat(0, 2), flat(0, 30)) }, at: { 1: [], 20: [] } },
    also: {
      'does not count anew what a process counted before it could not be scraped for some time': {
        series: { [LOST]: [...flat(3, 40), ...Array.from({ length: 20 }, () => undefined), ...flat(3, 30)] },
        at: { 20: [], 61: [], 70: [] },
      },
      'counts what a process that began anew has lost since': {
        series: { [LOST]: [...flat(3, 40), ...flat(1, 10)] },
        at: {
          39: [],
          41: [
            {
              labels: { severity: 'warning', queue: 'render', task_name: 'clip' },
              summary: 'clip: attempts on the queue render were lost',
              description:
                '1 attempts ended without a word in the last 15 min: their worker was killed, or lost its lock.',
            },
          ],
        },
      },
    },
  },
  MessagesMalformed: {
    over: {
      series: { [rejected('malformed')]: [undefined, undefined, ...flat(1, 30)] },
      at: {
        1: [],
        2: [
          refused(
            'Malformed messages on the queue render',
            '1 messages could not be read by their handler in the last 15 min.',
          ),
        ],
        18: [],
      },
    },
    atLimit: { series: { [rejected('malformed')]: nothing }, at: { 1: [], 20: [] } },
  },
  MessagesUnknownTask: {
    over: {
      series: { [rejected('unknown_task')]: then(flat(0, 5), flat(11, 30)) },
      at: {
        4: [],
        6: [
          refused(
            'Messages for unknown tasks on the queue render',
            '11 messages in the last 15 min were for a task that no handler knows (limit 10).',
          ),
        ],
        25: [],
      },
    },
    atLimit: { series: { [rejected('unknown_task')]: then(flat(0, 5), flat(10, 30)) }, at: { 6: [], 25: [] } },
  },
  MessagesExpired: {
    over: {
      series: { [rejected('expired')]: then(flat(0, 90), flat(21, 30)) },
      at: {
        89: [],
        91: [
          refused(
            'Many messages expired on the queue render',
            '21 messages in the last 15 min came too late to be of use (limit 20), more than three times as many as in the hour before.',
          ),
        ],
        110: [],
      },
    },
    atLimit: { series: { [rejected('expired')]: then(flat(0, 90), flat(20, 30)) }, at: { 91: [], 110: [] } },
    also: {
      'is silent where as many always expire': {
        series: { [rejected('expired')]: ramp(10, 240) },
        at: { 120: [], 239: [] },
      },
    },
  },
}
