// Queues, as two workers tell of the same one, and what becomes of their alerts when nobody does.
import { type Firing, flat, type Samples, type Scenario } from '../promtool.ts'
import type { Shown, ShownAlerts } from './shape.ts'

const QUEUE = 'render'
const tells = (name: string, labels = '', instance = 'a', queue = QUEUE): string =>
  `taskiq_${name}{instance="${instance}",queue="${queue}"${labels}}`
const depth = (state: string, instance = 'a', queue = QUEUE): string =>
  tells('queue_depth', `,state="${state}"`, instance, queue)
const during = (minutes: number, value: number, rest: number, still = 0): Samples => [
  ...flat(still, 1),
  ...flat(value, minutes),
  ...flat(still, rest),
]
const leaves = (samples: Samples): Samples => [...samples, 'stale']

const fires = (severity: string, summary: string, description: string, more: object = {}): Firing => ({
  labels: { severity, queue: QUEUE, ...more },
  summary,
  description,
})
const NOBODY = 'Nobody tells about the queue render any more'
const WAITED = 'Nobody tells about the queue any more; when it was seen last, 7 messages waited.'
const GONE = { reason: 'gone' }

const deep = (severity: string, count: number, limit: number): Firing =>
  fires(severity, 'The queue render has a backlog', `${count} messages wait (limit ${limit}), for 5 min.`)
const deepAndGone = (severity: string): Firing => fires(severity, NOBODY, WAITED, GONE)
/** Waiting and prioritized, told alike by two workers. */
const backlog = (waiting: Samples, prioritized: Samples): Record<string, Samples> => ({
  [depth('waiting')]: waiting,
  [depth('waiting', 'b')]: waiting,
  [depth('prioritized')]: prioritized,
  [depth('delayed')]: flat(5_000, waiting.length),
})

/** Seven messages wait for 10 min; then nobody tells. And tells again after half an hour. */
const goneFor = (name: string, value: number): Record<string, Samples> => {
  const missing: Samples = Array.from({ length: 30 }, () => undefined)
  return {
    [depth('waiting')]: [...leaves(flat(7, 10)), ...missing, ...flat(7, 10)],
    [tells(name)]: [...leaves(flat(value, 10)), ...missing, ...flat(value, 10)],
  }
}
const goneAndBack = (name: string, value: number, firing: Firing[]): Scenario => ({
  series: goneFor(name, value),
  at: { 9: [], 11: [], 16: firing, 40: firing, 45: [] },
})

/** Shown of every alert that a pause keeps silent. */
const paused = (series: Record<string, Samples>, minutes: number): Scenario => ({
  series: { ...series, [tells('queue_paused')]: flat(1, minutes) },
  at: { 10: [], [minutes - 1]: [], [minutes + 5]: [] },
})
const deadLetter = (series: Record<string, Samples>): Scenario => ({
  series: Object.fromEntries(
    Object.entries(series).map(([name, samples]) => [name.replace(QUEUE, 'render.dlq'), samples]),
  ),
  at: { 10: [], 19: [] },
})
const exempt = (series: Record<string, Samples>): Shown['also'] => ({
  'is silent while the queue is paused, also when nobody tells any more': paused(
    Object.fromEntries(Object.entries(series).map(([name, samples]) => [name, leaves(samples.slice(0, 20))])),
    20,
  ),
  'does not judge a dead-letter queue': deadLetter(series),
})

const wait = (text: string): Firing => fires('warning', 'Messages of the queue render wait too long', text)
const EMPTY = 'Nobody is connected to the queue render'
const WAITING = 'Messages wait on the queue render, and nobody is connected to it'
const nobodyWarning = fires('warning', EMPTY, 'It has had no worker and no consumer for 2 min.')
const stuck = fires(
  'critical',
  'Workers of the queue render are stuck',
  '4 messages wait, somebody should be free to take them, and for 2 min nobody has.',
)
const isPaused = fires(
  'warning',
  'The queue render is paused',
  'It has been paused for 1 h, or was when it was seen last. Its other alerts are silent meanwhile.',
)
const unseen = (ago: string): Firing =>
  fires(
    'critical',
    'Nobody looks at the queue render',
    `The last look at it was ${ago} ago: its broker does not answer, or who watched it is gone.`,
  )
/** The time of each look, a minute apart. */
const looks = (minutes: number): Samples => Array.from({ length: minutes }, (_, minute) => minute * 60)
const SEEN = tells('watch_last_sample_timestamp_seconds')
const DLQ = depth('waiting', 'a', 'render.dlq')
const dead = (text: string, more = {}): Firing => ({
  labels: { severity: 'warning', queue: 'render.dlq', ...more },
  summary:
    'reason' in more
      ? 'Nobody tells about the queue render.dlq any more'
      : 'The dead-letter queue render.dlq is not empty',
  description: text,
})

export const QUEUES: ShownAlerts = {
  QueueBacklogHigh: {
    over: {
      series: backlog([...during(20, 100, 0), ...flat(1_000, 20), ...flat(0, 10)], flat(1, 51)),
      at: {
        5: [],
        7: [deep('warning', 101, 100)],
        27: [deep('warning', 1_001, 100), deep('critical', 1_001, 1_000)],
        45: [],
      },
    },
    atLimit: { series: backlog(flat(99, 20), flat(1, 20)), at: { 10: [], 19: [] } },
    gone: goneAndBack('queue_consumers', 1, [deepAndGone('warning'), deepAndGone('critical')]),
    also: {
      ...exempt(backlog(flat(5_000, 20), flat(1, 20))),
      'is not critical at 1,000': {
        series: backlog(flat(999, 20), flat(1, 20)),
        at: { 19: [deep('warning', 1_000, 100)] },
      },
    },
  },
  QueueWaitTooLong: {
    over: {
      series: { [tells('queue_oldest_age_seconds')]: during(10, 601, 10) },
      at: { 2: [], 4: [wait('The next message has been ready for 10m 1s (limit 10 min).')], 15: [] },
    },
    atLimit: { series: { [tells('queue_oldest_age_seconds')]: flat(600, 20) }, at: { 10: [], 19: [] } },
    gone: goneAndBack('queue_oldest_age_seconds', 5, [fires('warning', NOBODY, WAITED, GONE)]),
    also: exempt({ [depth('waiting')]: flat(1, 20), [tells('queue_oldest_age_seconds')]: flat(5_000, 20) }),
  },
  QueueWithoutConsumers: {
    over: {
      series: { [depth('waiting')]: during(5, 0, 15, 3), [tells('queue_consumers')]: [...during(10, 0, 10, 2)] },
      at: {
        2: [],
        4: [nobodyWarning],
        9: [nobodyWarning, fires('critical', WAITING, '3 messages wait, with no worker and no consumer for 2 min.')],
        15: [],
      },
    },
    atLimit: {
      series: { [depth('waiting')]: flat(3, 20), [tells('queue_consumers')]: flat(1, 20) },
      at: { 10: [], 19: [] },
    },
    gone: goneAndBack('queue_consumers', 1, [
      fires('warning', NOBODY, WAITED, GONE),
      fires('critical', NOBODY, WAITED, GONE),
    ]),
    also: {
      ...exempt({ [depth('waiting')]: flat(3, 20), [tells('queue_consumers')]: flat(0, 20) }),
      'is silent where one of two watchers still sees a consumer': {
        series: { [tells('queue_consumers')]: flat(0, 20), [tells('queue_consumers', '', 'b')]: flat(1, 20) },
        at: { 19: [] },
      },
    },
  },
  WorkerStuck: {
    over: {
      series: {
        [depth('waiting')]: flat(4, 21),
        [tells('worker_stuck')]: during(10, 1, 10),
        [tells('worker_stuck', '', 'b')]: flat(0, 21),
      },
      at: { 2: [], 4: [stuck], 12: [] },
    },
    atLimit: {
      series: { [depth('waiting')]: flat(4, 20), [tells('worker_stuck')]: flat(0, 20) },
      at: { 10: [], 19: [] },
    },
    gone: goneAndBack('worker_stuck', 0, [fires('critical', NOBODY, WAITED, GONE)]),
    also: exempt({ [depth('waiting')]: flat(3, 20), [tells('worker_stuck')]: flat(1, 20) }),
  },
  QueuePausedTooLong: {
    over: {
      series: { [tells('queue_paused')]: during(70, 1, 10) },
      at: { 60: [], 62: [isPaused], 72: [] },
    },
    atLimit: { series: { [tells('queue_paused')]: during(60, 1, 20) }, at: { 60: [], 61: [], 70: [] } },
    gone: {
      series: { [tells('queue_paused')]: leaves(flat(1, 10)) },
      at: { 30: [], 61: [isPaused], 600: [isPaused], 1460: [] },
    },
  },
  QueueUnseen: {
    over: {
      // A broker that does not answer: the time of the last look stays.
      series: { [SEEN]: [...looks(11), ...flat(600, 10), ...looks(31).slice(21)] },
      at: { 12: [], 13: [unseen('3m 0s')], 22: [] },
    },
    atLimit: {
      series: { [SEEN]: [0, 0, 0, 180, 180, 180, 360, 360, 360, 540, 540, 540] },
      at: { 2: [], 5: [], 8: [], 11: [] },
    },
    gone: {
      series: {
        [SEEN]: [...leaves(looks(11)), ...Array.from({ length: 20 }, () => undefined), ...looks(40).slice(32)],
      },
      at: { 12: [], 13: [unseen('3m 0s')], 31: [unseen('21m 0s')], 33: [] },
    },
    also: {
      'lets a queue go that nobody has looked at for a day': {
        series: { [SEEN]: leaves(looks(11)) },
        at: { 1449: [unseen('23h 59m 0s')], 1452: [] },
      },
    },
  },
  DeadLetterQueueNotEmpty: {
    over: {
      series: { [DLQ]: during(10, 1, 10) },
      at: { 2: [], 4: [dead('1 messages lie in it, and nobody takes them.')], 12: [] },
    },
    atLimit: {
      series: {
        [DLQ]: flat(0, 20),
        [depth('waiting')]: flat(50, 20),
        [depth('waiting', 'a', 'saddlqueue')]: flat(9, 20),
      },
      at: { 10: [], 19: [] },
    },
    gone: {
      series: { [DLQ]: [...leaves(flat(2, 10)), ...Array.from({ length: 20 }, () => undefined), ...flat(0, 9)] },
      at: {
        9: [dead('2 messages lie in it, and nobody takes them.')],
        11: [],
        13: [dead('Nobody tells about the queue any more; when it was seen last, 2 messages lay in it.', GONE)],
        32: [],
      },
    },
  },
}
