// The first row of the queues: one number for each thing that may be wrong.
import { THRESHOLDS } from '../../../../src/observability/thresholds.ts'
import { number } from '../../panels.ts'
import { max, orZero, sum } from '../../phrases.ts'
import { counted, gauge, growth, last, ready, series } from './words.ts'

// As the alert, which takes the pattern that the user gives.
const dead = series('consumers', { queue: `~${THRESHOLDS['dead-letter-queues'].default}` })

export const now = [
  number({
    title: 'Waiting',
    what: 'Messages ready and not taken yet, in all chosen queues: waiting and prioritized. The limits are those of one queue.',
    alerts: ['QueueBacklogHigh'],
    lines: ['depth', 'depth-critical'],
    none: 'not watched',
    expr: sum('', ready),
  }),
  number({
    title: 'Growing by',
    what: 'How much the backlog of all chosen queues grew per minute, over the last 5 min. Below 0 it is being worked off.',
    alerts: ['QueueBacklogHigh'],
    unit: 'suffix:/min',
    none: 'not watched',
    expr: `60 * ${sum('', growth)}`,
  }),
  number({
    title: 'Next job has waited',
    what: 'The longest time that a message next in line has been ready.',
    alerts: ['QueueWaitTooLong'],
    lines: ['wait'],
    unit: 's',
    none: 'nothing waits',
    expr: max('', gauge('oldestAge')),
  }),
  number({
    title: 'Without consumers',
    what: 'Watched queues to which nobody is connected, without paused ones and dead-letter queues.',
    alerts: ['QueueWithoutConsumers'],
    bad: 1,
    expr: orZero(
      `count(${max('queue', gauge('consumers'))} == 0 unless on (queue) (${gauge('queuePaused')} == 1 or ${dead}))`,
    ),
  }),
  number({
    title: 'Paused',
    what: 'Queues that are paused for all workers. Their other alerts are silent meanwhile.',
    alerts: ['QueuePausedTooLong'],
    bad: 1,
    expr: orZero(sum('', max('queue', gauge('queuePaused')))),
  }),
  number({
    title: 'Stuck',
    what: 'Queues with messages ready that nobody takes, though somebody should be free.',
    alerts: ['WorkerStuck'],
    bad: 1,
    expr: orZero(sum('', max('queue', gauge('workerStuck')))),
  }),
  number({
    title: 'Dead-lettered',
    what: 'Messages that their consumer gave up, in the time shown: dead-lettered, or dropped where the queue has no dead-letter exchange.',
    alerts: ['DeadLetterQueueNotEmpty'],
    bad: 1,
    expr: orZero(sum('', counted('deadLettered'))),
  }),
  number({
    title: 'Last looked at',
    what: 'How long ago the queue that was not seen for longest was looked at with success. Beyond 2 min nothing here can be believed.',
    alerts: ['QueueUnseen'],
    bad: 120,
    unit: 's',
    none: 'not watched',
    expr: `time() - min(${max('queue', last('lastSample'))})`, // also when who looked has died
  }),
]
