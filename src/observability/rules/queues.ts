// Queues as watch() sees them. Every worker that watches a queue tells the same of it, hence `max by (queue)`.
import { inWords, secondsOf } from '../durations.ts'
import { carried, gone, quoted, vanished } from '../promql.ts'
import type { AlertRule, Group, Making, Recording } from '../rule.ts'

const UNSEEN_AFTER_SECONDS = 120

export function queueRules(making: Making): Group {
  return {
    name: 'taskspan-queues',
    rules: [...recordings(making), ...depths(making), ...takers(making), ...others(making)],
  }
}

/** Where it is too much, or where nobody tells any more; not of a queue that is paused, or was when seen last. */
function judged(making: Making, tooMuch: string, whenGone?: string): string {
  const { left, exempt } = names(making)
  return `(${tooMuch} or ${whenGone ?? left}) unless on (queue) ${exempt}`
}

/** How many wait, and how long. */
function depths(making: Making): AlertRule[] {
  const { series, limits, alert } = making
  const deep = (limit: string, severity: 'warning' | 'critical'): AlertRule =>
    alert('QueueBacklogHigh', {
      severity,
      expr: judged(making, `${names(making).backlog} > ${limit}`),
      for: '5m',
      summary: titled('The queue {{ $labels.queue }} has a backlog'),
      description: goneOr(`{{ $value }} messages wait (limit ${limit}), for 5 min.`),
    })
  return [
    deep(limits.depth, 'warning'),
    deep(limits['depth-critical'], 'critical'),
    alert('QueueWaitTooLong', {
      expr: judged(making, `max by (queue) (${series.oldestAge}) > ${secondsOf(limits.wait)}`),
      for: '2m',
      summary: titled('Messages of the queue {{ $labels.queue }} wait too long'),
      description: goneOr(
        `The next message has been ready for {{ $value | humanizeDuration }} (limit ${inWords(limits.wait)}).`,
      ),
    }),
  ]
}

/** Who is there to take them. */
function takers(making: Making): AlertRule[] {
  const { series, alert } = making
  const { backlog, left } = names(making)
  const nobody = `max by (queue) (${series.consumers}) == 0`
  return [
    alert('QueueWithoutConsumers', {
      severity: 'warning',
      expr: judged(making, nobody),
      for: '2m',
      summary: titled('Nobody is connected to the queue {{ $labels.queue }}'),
      description: goneOr('It has had no worker and no consumer for 2 min.'),
    }),
    alert('QueueWithoutConsumers', {
      severity: 'critical',
      expr: judged(making, `(${backlog} > 0 and on (queue) ${nobody})`, `${left} > 0`),
      for: '2m',
      summary: titled('Messages wait on the queue {{ $labels.queue }}, and nobody is connected to it'),
      description: goneOr('{{ $value }} messages wait, with no worker and no consumer for 2 min.'),
    }),
    alert('WorkerStuck', {
      expr: judged(making, `(${backlog} and on (queue) max by (queue) (${series.workerStuck}) == 1)`),
      for: '2m',
      summary: titled('Workers of the queue {{ $labels.queue }} are stuck'),
      description: goneOr(
        '{{ $value }} messages wait, somebody should be free to take them, and for 2 min nobody has.',
      ),
    }),
  ]
}

/** Those that nobody is to take from, and those that nobody looks at. */
function others(making: Making): AlertRule[] {
  const { limits, alert } = making
  const { backlog, left, paused, seen } = names(making)
  const dead = quoted(limits['dead-letter-queues'])
  return [
    alert('QueuePausedTooLong', {
      expr: `${paused} == 1`,
      for: limits['paused-for'],
      summary: 'The queue {{ $labels.queue }} is paused',
      description: `It has been paused for ${inWords(limits['paused-for'])}, or was when it was seen last. Its other alerts are silent meanwhile.`,
    }),
    alert('QueueUnseen', {
      // No `for`: it fires before those whose series are gone, and so silences them.
      expr: `time() - ${seen} > ${UNSEEN_AFTER_SECONDS}`,
      summary: 'Nobody looks at the queue {{ $labels.queue }}',
      description:
        'The last look at it was {{ $value | humanizeDuration }} ago: its broker does not answer, or who watched it is gone.',
    }),
    alert('DeadLetterQueueNotEmpty', {
      expr: `${backlog}{queue=~${dead}} > 0 or ${left}{queue=~${dead}}`,
      for: '2m',
      summary: titled('The dead-letter queue {{ $labels.queue }} is not empty'),
      description: goneOr('{{ $value }} messages lie in it, and nobody takes them.', 'messages lay in it'),
    }),
  ]
}

function goneOr(otherwise: string, last = 'messages waited'): string {
  return `{{ if eq $labels.reason "gone" }}Nobody tells about the queue any more; when it was seen last, {{ $value }} ${last}.{{ else }}${otherwise}{{ end }}`
}

// What wakes people must not say that there is a backlog where nobody knows.
function titled(otherwise: string): string {
  return `{{ if eq $labels.reason "gone" }}Nobody tells about the queue {{ $labels.queue }} any more{{ else }}${otherwise}{{ end }}`
}

function names({ recorded }: Making) {
  return {
    backlog: recorded('queue_backlog:max'),
    left: recorded('queue_backlog:gone'),
    paused: recorded('queue_paused:last'),
    exempt: recorded('queue_exempt:last'),
    seen: recorded('queue_seen:timestamp'),
  }
}

function recordings(making: Making): Recording[] {
  const { series, limits, recorded } = making
  const { backlog, left, paused, exempt, seen } = names(making)
  const forget = limits['forget-after']
  const pausedNow = recorded('queue_paused:max')
  return [
    {
      record: backlog,
      expr: `sum by (queue) (max by (queue, state) (${series.queueDepth}{state=~"waiting|prioritized"}))`,
    },
    { record: left, expr: gone(vanished(backlog, 'queue', forget)) },
    { record: pausedNow, expr: `max by (queue) (${series.queuePaused})` },
    { record: paused, expr: `last_over_time(${pausedNow}[${forget}])` },
    {
      // Paused, or a dead-letter queue: nobody is to take messages from these.
      record: exempt,
      expr: `${paused} == 1 or last_over_time(${backlog}{queue=~${quoted(limits['dead-letter-queues'])}}[${forget}])`,
    },
    {
      // Carried on by itself when nobody tells any more, and let go when that has lasted too long.
      record: seen,
      expr: `max by (queue) (${series.lastSample} or ${carried(seen)}) > time() - ${secondsOf(forget)}`,
    },
  ]
}
