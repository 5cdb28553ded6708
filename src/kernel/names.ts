// Every span, attribute, metric, label and log name: their only home. A rename here is a breaking change.

export const DEFAULT_PREFIX = 'taskiq'

/** For checkOptions(): what is wrong with a prefix. */
export const prefixWrong = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[a-z][a-z0-9_]{0,31}$/.test(value) ? undefined : 'must match [a-z][a-z0-9_]{0,31}'

/** Span and attribute names under a prefix. Made once per prefix. */
export interface SpanNames {
  readonly task: (name: string) => string
  readonly attribute: (key: string) => string
  readonly attempt: string
  readonly maxAttempts: string
  readonly taskName: string
  readonly waitMs: string
  readonly priority: string
  readonly scheduleId: string
  readonly scheduleTime: string
  readonly scheduleDrift: string
  readonly recovered: string
  readonly outcome: string
  readonly stepOutcome: string
  readonly pipelineName: string
  readonly runId: string
  readonly stepId: string
  readonly stepAttempt: string
  readonly stepNeeds: string
  readonly stepWaitMs: string
  readonly pipelineOutcome: string
  readonly willRetry: string
  readonly rejectReason: string
  readonly truncated: string
}

const spanNamesByPrefix = new Map<string, SpanNames>()

export function spanNames(prefix = DEFAULT_PREFIX): SpanNames {
  let names = spanNamesByPrefix.get(prefix)
  if (names === undefined) {
    // Joined once: a name made anew for each span costs as much as setting the attribute.
    const named = (key: string): string => asKey(`${prefix}.${key}`)
    const attributes = new Map<string, string>()
    names = {
      task: (name) => `${prefix}.${name}`,
      attribute: (key) => {
        let name = attributes.get(key)
        if (name === undefined) {
          name = named(key)
          // The keys are our own words, so few; the cap only guards against a mistake of ours.
          if (attributes.size < 1_000) attributes.set(key, name)
        }
        return name
      },
      attempt: named('attempt'),
      maxAttempts: named('max_attempts'),
      taskName: named('task.name'),
      waitMs: named('wait_ms'),
      priority: named('priority'),
      scheduleId: named('schedule.id'),
      scheduleTime: named('schedule.time'),
      scheduleDrift: named('schedule.drift_ms'),
      recovered: named('recovered'),
      outcome: named('outcome'),
      stepOutcome: named('step.outcome'),
      pipelineName: named('pipeline.name'),
      runId: named('pipeline.run_id'),
      stepId: named('step.id'),
      stepAttempt: named('step.attempt'),
      stepNeeds: named('step.needs'),
      stepWaitMs: named('step.wait_ms'),
      pipelineOutcome: named('pipeline.outcome'),
      willRetry: named('will_retry'),
      rejectReason: named('reject_reason'),
      truncated: named('truncated'),
    }
    spanNamesByPrefix.set(prefix, names)
  }
  return names
}

// V8 keeps one copy of each text that is a key, and is slower with any other: a text that was joined is another.
function asKey(text: string): string {
  return Object.keys({ [text]: undefined })[0] as string
}

export const SPAN = {
  send: (destination: string): string => (destination === '' ? 'send' : `send ${destination}`),
  pipeline: (name: string): string => `${name}.pipeline`,
  step: (id: string): string => `step.${id}`,
  detached: (name: string): string => `detached.${name}`,
  ext: (service: string, operation: string): string => `ext.${service}.${operation}`,
  sse: (event: string): string => `sse.${event}`,
} as const

/** Attributes of OpenTelemetry's semantic conventions (messaging 1.3x, development status), and our unprefixed tag. */
export const ATTR = {
  taskType: 'task_type',
  errorType: 'error.type',
  exceptionType: 'exception.type',
  exceptionMessage: 'exception.message',
  exceptionStack: 'exception.stacktrace',
  system: 'messaging.system',
  operationName: 'messaging.operation.name',
  operationType: 'messaging.operation.type',
  destination: 'messaging.destination.name',
  messageId: 'messaging.message.id',
  batchCount: 'messaging.batch.message_count',
  retryCount: 'messaging.message.retry.count',
  receiveLatency: 'messaging.message.receive.latency',
  routingKey: 'messaging.rabbitmq.destination.routing_key',
  deliveryTag: 'messaging.rabbitmq.message.delivery_tag',
} as const

type MetricType = 'counter' | 'gauge' | 'histogram'

export interface MetricName {
  /** Without the prefix. */
  readonly name: string
  readonly type: MetricType
  readonly labels: readonly string[]
  readonly help: string
  /** How a cluster's workers add up; default `sum`, and `max` for a gauge. */
  readonly aggregator?: 'sum'
}

/** Every metric of a worker's own runs; dashboards, alerts and docs/reference.md follow it. */
export const METRIC = {
  tasks: {
    name: 'tasks_total',
    type: 'counter',
    labels: ['queue', 'task_name', 'task_type', 'outcome'],
    help: 'Task attempts that ended, by outcome.',
  },
  duration: {
    name: 'tasks_duration_seconds',
    type: 'histogram',
    labels: ['queue', 'task_name', 'task_type', 'result'],
    help: 'How long task attempts ran, in seconds.',
  },
  wait: {
    name: 'task_wait_seconds',
    type: 'histogram',
    labels: ['queue', 'task_name'],
    help: 'How long tasks waited for their first start, without deliberate delay, in seconds.',
  },
  failures: {
    name: 'task_failures_total',
    type: 'counter',
    labels: ['queue', 'task_name', 'task_type', 'error_type'],
    help: 'Tasks that failed for good or were lost, by error type.',
  },
  inProgress: {
    name: 'tasks_in_progress',
    type: 'gauge',
    labels: ['queue', 'task_name'],
    help: 'Task attempts running now.',
    aggregator: 'sum',
  },
  oldestRunning: {
    name: 'task_oldest_running_seconds',
    type: 'gauge',
    labels: ['queue'],
    help: 'Age of the oldest task attempt still running, in seconds.',
  },
  lost: {
    name: 'tasks_lost_total',
    type: 'counter',
    labels: ['queue', 'task_name'],
    help: 'Attempts that ended without a word: a killed worker, a lost lock.',
  },
  sent: {
    name: 'messages_sent_total',
    type: 'counter',
    labels: ['queue', 'task_name'],
    help: 'Messages handed to a broker.',
  },
  rejected: {
    name: 'messages_rejected_total',
    type: 'counter',
    labels: ['queue', 'reason'],
    help: 'Messages that their handler refused.',
  },
  brokerEvents: {
    name: 'broker_events_total',
    type: 'counter',
    labels: ['queue', 'event'],
    help: 'What the broker or its client reported outside any task.',
  },
  deadLettered: {
    name: 'messages_dead_lettered_total',
    type: 'counter',
    labels: ['queue'],
    help: 'Messages given up by their consumer: dead-lettered, or dropped where the queue has no dead-letter exchange.',
  },
  cronLastSuccess: {
    name: 'cron_last_success_timestamp_seconds',
    type: 'gauge',
    labels: ['schedule'],
    help: 'When the schedule last succeeded, in Unix seconds.',
  },
  cronNextRun: {
    name: 'cron_next_run_timestamp_seconds',
    type: 'gauge',
    labels: ['schedule'],
    help: 'When the schedule runs next, in Unix seconds.',
  },
  cronInterval: {
    name: 'cron_interval_seconds',
    type: 'gauge',
    labels: ['schedule'],
    help: 'Time between two runs of the schedule, in seconds.',
  },
  cronDrift: {
    name: 'cron_drift_seconds',
    type: 'histogram',
    labels: ['schedule'],
    help: 'How late runs of the schedule started, in seconds.',
  },
  cronMissed: {
    name: 'cron_missed_total',
    type: 'counter',
    labels: ['schedule'],
    help: 'Runs of the schedule that did not start.',
  },
  cronOverlaps: {
    name: 'cron_overlaps_total',
    type: 'counter',
    labels: ['schedule'],
    help: 'Runs of the schedule that started while another still ran.',
  },
  pipelineDuration: {
    name: 'pipeline_duration_seconds',
    type: 'histogram',
    labels: ['pipeline', 'result'],
    help: 'How long pipeline runs took, in seconds.',
  },
  pipelineCriticalPath: {
    name: 'pipeline_critical_path_seconds',
    type: 'histogram',
    labels: ['pipeline', 'result'],
    help: 'Length of the longest chain of steps of pipeline runs, in seconds.',
  },
  pipelines: {
    name: 'pipelines_total',
    type: 'counter',
    labels: ['pipeline', 'outcome'],
    help: 'Pipeline runs that ended, by outcome.',
  },
  steps: {
    name: 'steps_total',
    type: 'counter',
    labels: ['pipeline', 'step', 'outcome'],
    help: 'Step attempts that ended, by outcome.',
  },
  stepDuration: {
    name: 'step_duration_seconds',
    type: 'histogram',
    labels: ['pipeline', 'step', 'result'],
    help: 'How long step attempts ran, in seconds.',
  },
  serviceDuration: {
    name: 'service_duration_seconds',
    type: 'histogram',
    labels: ['operation', 'result'],
    help: 'How long calls of own services took, in seconds.',
  },
  extDuration: {
    name: 'ext_duration_seconds',
    type: 'histogram',
    labels: ['service', 'operation', 'result'],
    help: 'How long calls to services of others took, in seconds.',
  },
  extUsage: {
    name: 'ext_usage_total',
    type: 'counter',
    labels: ['service', 'operation', 'unit'],
    help: 'What calls to services of others used: tokens, seconds, bytes.',
  },
  telemetryErrors: {
    name: 'telemetry_errors_total',
    type: 'counter',
    labels: ['part', 'reason'],
    help: 'Faults of telemetry itself; no task was affected.',
  },
  labelOverflow: {
    name: 'label_overflow_total',
    type: 'counter',
    labels: ['label'],
    help: 'Label values and series beyond the cap, counted under "other".',
  },
  workerInfo: {
    name: 'worker_info',
    type: 'gauge',
    labels: ['app', 'worker', 'service_name', 'version', 'environment'],
    help: 'Always 1; its labels say which worker this is.',
  },
} as const satisfies Record<string, MetricName>

export type MetricKey = keyof typeof METRIC

/** What `watch()` sees of queues, brokers, workers and its process. */
export const WATCH_METRIC = {
  queueDepth: {
    name: 'queue_depth',
    type: 'gauge',
    labels: ['queue', 'state'],
    help: 'Messages in the queue, by state.',
  },
  priorityDepth: {
    name: 'queue_priority_depth',
    type: 'gauge',
    labels: ['queue', 'priority'],
    help: 'Messages ready in the queue, by priority.',
  },
  oldestAge: {
    name: 'queue_oldest_age_seconds',
    type: 'gauge',
    labels: ['queue'],
    help: 'How long the next message of the queue has been ready, in seconds.',
  },
  consumers: {
    name: 'queue_consumers',
    type: 'gauge',
    labels: ['queue'],
    help: 'Workers or consumers connected to the queue.',
  },
  queuePaused: {
    name: 'queue_paused',
    type: 'gauge',
    labels: ['queue'],
    help: '1 while the queue is paused for all workers, else 0.',
  },
  workerStuck: {
    name: 'worker_stuck',
    type: 'gauge',
    labels: ['queue'],
    help: '1 while messages are ready, somebody should be free to take them, and nobody does; else 0.',
  },
  lastSample: {
    name: 'watch_last_sample_timestamp_seconds',
    type: 'gauge',
    labels: ['queue'],
    help: 'When the queue was last looked at with success, in Unix seconds.',
  },
  brokerMemory: {
    name: 'broker_memory_ratio',
    type: 'gauge',
    labels: ['broker'],
    help: 'Memory that the broker uses, as a part of what it may use.',
  },
  brokerBlocked: {
    name: 'broker_blocked',
    type: 'gauge',
    labels: ['broker'],
    help: '1 while the broker takes no messages: out of memory, or an alarm; else 0.',
  },
  eventLoopLag: {
    name: 'process_event_loop_lag_seconds',
    type: 'gauge',
    labels: ['quantile'],
    help: 'How late the event loop ran its timers since the sample before, in seconds.',
  },
  cpu: {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    labels: [],
    help: 'CPU time that the process has used, in seconds.',
  },
  cpuLimit: {
    name: 'process_cpu_limit_cores',
    type: 'gauge',
    labels: [],
    help: "CPU that the process may use, in cores: the container's limit, or all that there are.",
  },
  residentMemory: {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    labels: [],
    help: 'Resident memory of the process, in bytes.',
  },
  heapUsed: {
    name: 'process_heap_used_bytes',
    type: 'gauge',
    labels: [],
    help: 'JavaScript heap in use, in bytes.',
  },
  memoryLimit: {
    name: 'process_memory_limit_bytes',
    type: 'gauge',
    labels: [],
    help: "The container's memory limit, in bytes; no series where there is none.",
  },
} as const satisfies Record<string, MetricName>

/** Log lines that are not about the ending of a task, step or pipeline. */
export const LINE = {
  workerStuck: 'worker.stuck',
  workerUnstuck: 'worker.unstuck',
  stillRunning: 'task.still_running',
  watchStale: 'watch.stale',
  watchFresh: 'watch.fresh',
  brokerBlocked: 'broker.blocked',
  brokerUnblocked: 'broker.unblocked',
  brokerEvicts: 'broker.evicts',
  workerStarting: 'worker.starting',
  workerStarted: 'worker.started',
  workerDraining: 'worker.draining',
  workerStopped: 'worker.stopped',
  checkFailed: 'check.failed',
  serverListening: 'server.listening',
} as const

/** The queue label of a cron tick that no message triggered. */
export const CRON_QUEUE = 'cron'
