// Queues: is the work done as fast as it comes?
import { dashboard } from '../frame.ts'
import { lines as logLines, of, spanOf, traces } from '../links.ts'
import { bands, bars, lines } from '../panels.ts'
import { max, sum } from '../phrases.ts'
import { now } from './queues/now.ts'
import { counted, gauge, growth, QUEUE, quantile, rate, ready } from './queues/words.ts'

const SEEN_BY_ALL = 'Every worker that watches a queue reports the same of it, so this is their maximum.'

const depth = [
  lines({
    title: 'Backlog by queue',
    what: `Messages ready and not taken yet: waiting and prioritized. ${SEEN_BY_ALL}`,
    alerts: ['QueueBacklogHigh'],
    lines: ['depth', 'depth-critical'],
    unit: 'short',
    queries: [{ expr: sum('queue', ready), legend: QUEUE }],
  }),
  lines({
    title: 'Growth by queue',
    what: 'How much the backlog grew per minute, over the last 5 min. Above 0 for long: more comes in than is done.',
    alerts: ['QueueBacklogHigh'],
    unit: 'suffix:/min',
    signed: true,
    queries: [{ expr: `60 * ${sum('queue', growth)}`, legend: QUEUE }],
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
