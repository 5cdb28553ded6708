// Every alert by name, with what it means: rules, runbooks and tests are held against this list.

export type Severity = 'critical' | 'warning' | 'info'

/** What an alert judges. One that judges a queue, a worker, a schedule or a broker also fires when its series are gone. */
export type Subject = 'task' | 'queue' | 'worker' | 'schedule' | 'pipeline' | 'service' | 'broker' | 'telemetry'

export interface Alert {
  readonly about: Subject
  /** More than one: the same alert in two degrees, of which the higher silences the lower. */
  readonly severities: readonly Severity[]
  readonly means: string
}

export const ALERTS = {
  TaskFailureRateHigh: {
    about: 'task',
    severities: ['critical'],
    means: 'More than 5 % of the tasks that ended failed or were lost, of at least 20.',
  },
  TaskDurationP99High: {
    about: 'task',
    severities: ['warning'],
    means: 'The slowest one in a hundred attempts of a task takes longer than its limit, 30 s.',
  },
  TaskDurationAverageHigh: {
    about: 'task',
    severities: ['warning'],
    means: 'Attempts of a task take longer than its limit on average, 30 s.',
  },
  TasksLost: {
    about: 'task',
    severities: ['warning'],
    means: 'Attempts ended without a word: a killed worker, a lost lock.',
  },
  MessagesMalformed: {
    about: 'task',
    severities: ['warning'],
    means: 'A handler refused messages that it cannot read: producer and consumer disagree.',
  },
  MessagesUnknownTask: {
    about: 'task',
    severities: ['warning'],
    means: 'Messages for tasks that no handler knows, more than a trickle.',
  },
  MessagesExpired: {
    about: 'task',
    severities: ['warning'],
    means: 'Messages that came too late to be of use: many, and many more than in the hour before.',
  },
  DeadLetterQueueNotEmpty: {
    about: 'queue',
    severities: ['warning'],
    means: 'Messages lie in a dead-letter queue, where nobody takes them.',
  },
  QueueBacklogHigh: {
    about: 'queue',
    severities: ['warning', 'critical'],
    means: 'More messages wait (waiting and prioritized) than 100, or than 1,000.',
  },
  QueueWaitTooLong: {
    about: 'queue',
    severities: ['warning'],
    means: 'The message that is next in line has been ready for more than 10 min.',
  },
  QueueWithoutConsumers: {
    about: 'queue',
    severities: ['warning', 'critical'],
    means: 'Nobody is connected to a watched queue; critical while messages wait.',
  },
  QueuePausedTooLong: {
    about: 'queue',
    severities: ['warning'],
    means: 'A queue has been paused for more than an hour; its other alerts are silent meanwhile.',
  },
  QueueUnseen: {
    about: 'queue',
    severities: ['critical'],
    means: 'Nobody has looked at a queue with success for 2 min: its alerts judge nothing.',
  },
  WorkerStuck: {
    about: 'worker',
    severities: ['critical'],
    means: 'Messages are ready, somebody should be free to take them, and nobody does.',
  },
  WorkerDown: {
    about: 'worker',
    severities: ['warning'],
    means: 'A process that reported before cannot be scraped.',
  },
  WorkerGone: {
    about: 'worker',
    severities: ['critical'],
    means: 'No process of a worker is left: none of those that reported in the last day.',
  },
  WorkerCpuHigh: {
    about: 'worker',
    severities: ['warning'],
    means:
      "A process uses more than 80 % of one core, which is what its event loop may have, or of its container's limit where that is less.",
  },
  WorkerMemoryHigh: {
    about: 'worker',
    severities: ['warning'],
    means: 'A process uses more than 85 % of the memory that its container may use.',
  },
  EventLoopLagHigh: {
    about: 'worker',
    severities: ['warning'],
    means: 'The event loop runs its timers more than 500 ms late (p99): locks and heartbeats are at risk.',
  },
  TelemetryErrors: {
    about: 'telemetry',
    severities: ['warning'],
    means: 'Telemetry itself had faults. No task was affected, but what it shows has gaps.',
  },
  LabelOverflow: {
    about: 'telemetry',
    severities: ['warning'],
    means: 'Label values or series beyond their cap were counted under "other".',
  },
  CronSilent: {
    about: 'schedule',
    severities: ['critical'],
    means: 'A schedule has not succeeded for more than twice its interval, whether it still reports or not.',
  },
  CronMissed: {
    about: 'schedule',
    severities: ['warning'],
    means: 'Runs of a schedule did not start, or its next run is 5 min late, whether it still reports or not.',
  },
  CronOverlapping: {
    about: 'schedule',
    severities: ['warning'],
    means: 'Runs of a schedule started while another of it still ran.',
  },
  PipelineFailureRateHigh: {
    about: 'pipeline',
    severities: ['warning'],
    means: 'More than 5 % of the runs of a pipeline failed, of at least 20.',
  },
  PipelineDurationP99High: {
    about: 'pipeline',
    severities: ['warning'],
    means: 'The slowest one in a hundred runs of a pipeline takes longer than 60 s.',
  },
  PipelineStepFailing: {
    about: 'pipeline',
    severities: ['info'],
    means: 'One step causes more than half of the failures of its pipeline.',
  },
  ExternalErrorRateHigh: {
    about: 'service',
    severities: ['warning'],
    means:
      'More than 5 % of the calls to a service of others fail, three times as many as in the hour before, or more than half.',
  },
  BrokerMemoryHigh: {
    about: 'broker',
    severities: ['warning'],
    means: 'A broker uses more than 80 % of the memory that it may use.',
  },
  BrokerBlocked: {
    about: 'broker',
    severities: ['critical'],
    means: 'A broker takes no messages: it is out of memory, or in alarm.',
  },
} as const satisfies Record<string, Alert>

export type AlertName = keyof typeof ALERTS

/** The file of an alert's runbook: `QueueBacklogHigh` is in `queue-backlog-high.md`. */
export function runbookOf(alert: AlertName): string {
  return `${alert.replace(/(?<=[a-z0-9])(?=[A-Z])/g, '-').toLowerCase()}.md`
}
