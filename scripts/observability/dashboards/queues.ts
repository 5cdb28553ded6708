// Queues: is the work done as fast as it comes?
import { dashboard } from '../frame.ts'
import { lines as logLines, of, spanOf, traces } from '../links.ts'
import { bands, bars, lines, number } from '../panels.ts'
import { chosen, max, orZero, phrases, sum } from '../phrases.ts'

const { gauge, rate, counted, quantile, series } = phrases('queue', 'task')
const SEEN_BY_ALL = 'Every worker that watches a queue reports the same of it, so this is their maximum.'
const READY = { state: '~waiting|prioritized' } as const
const backlog = sum('queue', max('queue, state', gauge('queueDepth', READY)))
const QUEUE = '{{queue}}'

const now = [
  number({
    title: 'Waiting',
    what: 'Messages ready and not taken yet, in all chosen queues: waiting and prioritized. The limits are those of one queue.',
    alerts: ['QueueBacklogHigh'],
    lines: ['depth', 'depth-critical'],
    none: 'not watched',
    expr: sum('', max('queue, state', gauge('queueDepth', READY))),
  }),
  number({
    title: 'Growing by',
    what: 'How much the backlog of all chosen queues grew per minute, over the last 5 min. Below 0 it is being worked off.',
    alerts: ['QueueBacklogHigh'],
    unit: 'suffix:/min',
    none: 'not watched',
    expr: `60 * ${sum('', growth())}`,
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
    what: 'Watched queues to which nobody is connected.',
    alerts: ['QueueWithoutConsumers'],
    bad: 1,
    expr: orZero(`count(${max('queue', gauge('consumers'))} == 0)`),
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
    expr: `time() - min(${max('queue', gauge('lastSample'))})`,
  }),
]

/** Of what is ready, per second: one slope per queue and state, whoever saw it. */
function growth(): string {
  return max('queue, state', chosen(`deriv(${series('queueDepth', READY)}[5m])`))
}

const depth = [
  lines({
    title: 'Backlog by queue',
    what: `Messages ready and not taken yet: waiting and prioritized. ${SEEN_BY_ALL}`,
    alerts: ['QueueBacklogHigh'],
    lines: ['depth', 'depth-critical'],
    unit: 'short',
    queries: [{ expr: backlog, legend: QUEUE }],
  }),
  lines({
    title: 'Growth by queue',
    what: 'How much the backlog grew per minute, over the last 5 min. Above 0 for long: more comes in than is done.',
    alerts: ['QueueBacklogHigh'],
    unit: 'suffix:/min',
    signed: true,
    queries: [{ expr: `60 * ${sum('queue', growth())}`, legend: QUEUE }],
  }),
  lines({
    title: 'Depth by queue and state',
    what: `All messages of a queue, by state. ${SEEN_BY_ALL}`,
    alerts: ['QueueBacklogHigh', 'DeadLetterQueueNotEmpty'],
    unit: 'short',
    queries: [{ expr: max('queue, state', gauge('queueDepth')), legend: '{{queue}} {{state}}' }],
  }),
  lines({
    title: 'Depth by queue and priority',
    what: `Messages ready, for the priorities given to watch(); 0 is the highest. ${SEEN_BY_ALL}`,
    unit: 'short',
    queries: [{ expr: max('queue, priority', gauge('priorityDepth')), legend: '{{queue}} priority {{priority}}' }],
  }),
]

const waiting = [
  lines({
    title: 'Next job has waited',
    what: 'How long the message next in line has been ready, without its deliberate delay.',
    alerts: ['QueueWaitTooLong'],
    lines: ['wait'],
    unit: 's',
    w: 8,
    queries: [{ expr: max('queue', gauge('oldestAge')), legend: QUEUE }],
  }),
  lines({
    title: 'Wait before the first start: p50, p95, p99',
    what: 'How long the tasks that started had waited, by queue, without deliberate delay. Retries are not counted.',
    unit: 's',
    exemplars: true,
    w: 8,
    queries: [0.5, 0.95, 0.99].map((q) => ({ expr: quantile(q, 'queue', 'wait'), legend: `${QUEUE} p${q * 100}` })),
  }),
  lines({
    title: 'Sent and ended',
    what: 'Messages handed to the broker by instrumented senders, and attempts that ended, per second.',
    unit: 'suffix:/s',
    w: 8,
    queries: [
      { expr: sum('queue', rate('sent')), legend: `${QUEUE} sent` },
      { expr: sum('queue', rate('tasks')), legend: `${QUEUE} ended` },
    ],
    links: [traces('Traces of sends', `{ name = "send ${of('queue')}" }`)],
  }),
]

const consumers = [
  lines({
    title: 'Consumers',
    what: 'Workers or consumers that are connected, as the broker says.',
    alerts: ['QueueWithoutConsumers'],
    unit: 'short',
    w: 8,
    queries: [{ expr: max('queue', gauge('consumers')), legend: QUEUE }],
  }),
  bands({
    title: 'Paused',
    what: 'When queues were paused for all workers.',
    alerts: ['QueuePausedTooLong'],
    names: ['runs', 'paused'],
    w: 8,
    queries: [{ expr: max('queue', gauge('queuePaused')), legend: QUEUE }],
  }),
  bands({
    title: 'Stuck',
    what: 'When messages were ready, somebody should have been free to take them, and nobody did.',
    alerts: ['WorkerStuck'],
    names: ['works', 'stuck'],
    w: 8,
    queries: [{ expr: max('queue', gauge('workerStuck')), legend: QUEUE }],
  }),
]

const refused = [
  bars({
    title: 'Rejected by reason',
    what: 'Messages that their handler refused: malformed ones are a fault, unknown tasks a drift, expired ones expected up to a point.',
    alerts: ['MessagesMalformed', 'MessagesUnknownTask', 'MessagesExpired'],
    unit: 'short',
    w: 8,
    queries: [
      { expr: `${sum('queue, reason', counted('rejected', {}, '$__interval'))} > 0`, legend: '{{queue}} {{reason}}' },
    ],
    links: [
      traces('Rejected tasks', `{ span.${spanOf('outcome')} = "rejected" }`),
      logLines(
        'Lines of these rejections',
        `{service=~".+"} | json | message="message.rejected" | queue="${of('queue')}"`,
      ),
    ],
  }),
  bars({
    title: 'Dead-lettered',
    what: 'Messages that their consumer gave up: dead-lettered, or dropped where the queue has no dead-letter exchange.',
    alerts: ['DeadLetterQueueNotEmpty'],
    unit: 'short',
    w: 8,
    queries: [{ expr: `${sum('queue', counted('deadLettered', {}, '$__interval'))} > 0`, legend: QUEUE }],
  }),
  lines({
    title: 'Failed jobs that are kept',
    what: 'Jobs in the state failed: BullMQ keeps them until somebody retries or removes them.',
    unit: 'short',
    w: 8,
    queries: [{ expr: max('queue, state', gauge('queueDepth', { state: 'failed' })), legend: QUEUE }],
  }),
]

const brokers = [
  lines({
    title: 'Broker memory',
    what: 'Memory that the broker uses, as a part of what it may use. Only where it has a limit.',
    alerts: ['BrokerMemoryHigh'],
    lines: ['broker-memory'],
    unit: 'percentunit',
    max: 1,
    w: 8,
    queries: [{ expr: max('broker', gauge('brokerMemory')), legend: '{{broker}}' }],
  }),
  bands({
    title: 'Broker blocked',
    what: 'When the broker took no messages: out of memory, or in alarm.',
    alerts: ['BrokerBlocked'],
    names: ['takes messages', 'blocked'],
    w: 8,
    queries: [{ expr: max('broker', gauge('brokerBlocked')), legend: '{{broker}}' }],
  }),
  bars({
    title: 'Broker events',
    what: 'What the broker or its client reported outside any task: cancelled consumers, closed channels, stalled jobs, returned messages.',
    unit: 'short',
    w: 8,
    queries: [
      { expr: `${sum('queue, event', counted('brokerEvents', {}, '$__interval'))} > 0`, legend: '{{queue}} {{event}}' },
    ],
  }),
]

export const queues = dashboard({
  name: 'queues',
  title: 'Queues',
  what: 'Is the work done as fast as it comes, and who is there to do it? From watch(), and from the tasks that ran.',
  choices: ['queue', 'task'],
  rows: {
    Now: now,
    Depth: depth,
    'Waiting and throughput': waiting,
    Consumers: consumers,
    'Refused and given up': refused,
    Brokers: brokers,
  },
})
