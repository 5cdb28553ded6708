// A BullMQ job as a task: name, attempt, wait, schedule, lost attempts, and what a throw will mean to BullMQ.
import type { Job } from 'bullmq'
import type { Outcome } from '../../kernel/outcome.ts'
import { parseCarrier } from '../../kernel/propagation.ts'
import type { Adapter, Carrier, Schedule, TaskFields } from '../../kernel/task.ts'
import { newlyLost } from './lost.ts'

export const bullmqAdapter: Adapter<Job> = {
  system: 'bullmq',
  read: (job) => readJob(job, newlyLost(job)),
  judge: (error, job) => judge(error, job),
  report: (percent, job) => job.updateProgress(percent),
  // No settle: BullMQ settles by the processor's return and throw.
}

/**
 * What a job says of its current attempt. As one literal: an object that was spread and added to is a slow one to V8, and
 * each look into it costs a task more than all the rest of this file.
 *
 * @param lost attempts that this one is the first to see lost
 * @param name instead of the job's own
 */
export function readJob(job: Job, lost?: number, name?: string): TaskFields {
  const { opts } = job
  const carrier = readCarrier(job)
  const schedule = readSchedule(job, carrier)
  const attempt = job.attemptsMade + 1
  const waitMs = readWait(job, schedule, carrier)
  return {
    name: name ?? (job.name === '__default__' ? job.queueName : job.name),
    queue: job.queueName,
    id: job.id,
    type: schedule === undefined && marksOf(job, carrier).task_type !== 'cron' ? 'on_demand' : 'cron',
    attempt,
    maxAttempts: Math.max(1, opts.attempts ?? 1),
    priority: opts.priority,
    waitMs,
    ageMs: Date.now() - job.timestamp - (opts.delay ?? 0),
    schedule,
    carrier,
    lost,
  }
}

// The field that BullMQ's own telemetry writes and reads, so that either side may be bullmq-otel; else plain job options.
function readCarrier({ opts }: Job): Carrier | undefined {
  const written: unknown = opts.telemetry?.metadata
  if (written !== undefined) return parseCarrier(written)
  return 'traceparent' in opts ? (opts as unknown as Carrier) : undefined
}

function readSchedule(job: Job, carrier: Carrier | undefined): Schedule | undefined {
  const { repeatJobKey: id, processedOn } = job
  if (id !== undefined) {
    const time = tickTime(job.id)
    return {
      id,
      time,
      driftMs: time !== undefined && processedOn !== undefined && isFirstStart(job) ? processedOn - time : undefined,
      intervalMs: (job.opts as { repeat?: { every?: number } }).repeat?.every,
    }
  }
  const { task_type: type, schedule_id: named, schedule_time: at } = marksOf(job, carrier)
  if (type !== 'cron' || typeof named !== 'string') return undefined
  const time = typeof at === 'string' ? Date.parse(at) : Number.NaN
  return { id: named, time: Number.isNaN(time) ? undefined : time }
}

// What a scheduler that enqueues has written: beside the job's options, or in its carrier.
function marksOf({ opts }: Job, carrier: Carrier | undefined): Carrier {
  return carrier?.task_type === undefined ? (opts as unknown as Carrier) : carrier
}

// `repeat:<scheduler>:<millis>`, where the scheduler's id may hold colons itself.
function tickTime(id: string | undefined): number | undefined {
  const millis = Number(id?.startsWith('repeat:') ? id.slice(id.lastIndexOf(':') + 1) : Number.NaN)
  return Number.isFinite(millis) && millis > 0 ? millis : undefined
}

// Later starts waited for something else (a backoff, a worker's death), and BullMQ does not say since when.
function readWait(job: Job, schedule: Schedule | undefined, carrier: Carrier | undefined): number | undefined {
  if (job.processedOn === undefined || !isFirstStart(job) || carrier?.[HAS_CHILDREN] !== undefined) return undefined
  if (job.repeatJobKey !== undefined) return schedule?.driftMs === undefined ? undefined : Math.max(0, schedule.driftMs)
  // opts.delay, not job.delay: that one is zeroed on promotion.
  return Math.max(0, job.processedOn - job.timestamp - (job.opts.delay ?? 0))
}

/** Marks the carrier of a flow's parent: it waits for its children, which is not a wait for a worker. */
export const HAS_CHILDREN = 'taskspan_children'

function isFirstStart(job: Job): boolean {
  return job.attemptsMade === 0 && job.attemptsStarted <= 1
}

// Control flow and the end of retries, by BullMQ's own rules (Worker.handleFailed, Job.shouldRetryJob), without calling
// the user's backoff strategy and without importing BullMQ.
export function judge(error: unknown, job: Job): Outcome {
  if (isNamed(error, CONTROL_FLOW) || messageOf(error) === 'bullmq:rateLimitExceeded') return 'deferred'
  const worker = (job as unknown as { queue?: { opts?: { maxStartedAttempts?: number } } }).queue?.opts
  const startedOut = !!worker?.maxStartedAttempts && worker.maxStartedAttempts <= job.attemptsStarted
  const again = job.attemptsMade + 1 < (job.opts.attempts ?? 1) && !startedOut
  return again && !isNamed(error, UNRECOVERABLE) ? 'retry' : 'failure'
}

const CONTROL_FLOW: ReadonlySet<string> = new Set(['DelayedError', 'WaitingError', 'WaitingChildrenError'])
const UNRECOVERABLE: ReadonlySet<string> = new Set(['UnrecoverableError'])

// BullMQ asks for the name or the class; a subclass of another name counts, so the chain of constructors is asked too.
function isNamed(error: unknown, names: ReadonlySet<string>): boolean {
  if ((typeof error !== 'object' && typeof error !== 'function') || error === null) return false
  if (names.has(String((error as Error).name))) return true
  // BullMQ's classes write the name onto each instance; a class of the user's that only shares theirs mostly does not.
  if (!Object.hasOwn(error, 'name')) return false
  let at: object | null = Object.getPrototypeOf(error)
  for (let depth = 0; at !== null && depth < MAX_DEPTH; depth++) {
    if (names.has(at.constructor?.name)) return true
    at = Object.getPrototypeOf(at)
  }
  return false
}

const MAX_DEPTH = 20 // a proxy may answer for ever

function messageOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null ? (error as Error).message : undefined
}
