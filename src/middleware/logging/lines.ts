// What our lines say: level, message and fields of each ending, call and event.
import type { Context } from '@opentelemetry/api'
import type { Logger } from 'pino'
import { type CorrelationOptions, correlationOf } from '../../kernel/correlation.ts'
import type { TaskEvent } from '../../kernel/event.ts'
import { guard } from '../../kernel/faults.ts'
import { describeError, type Ending, type Outcome, rejectReason } from '../../kernel/outcome.ts'
import { extract } from '../../kernel/propagation.ts'
import { round } from '../../kernel/round.ts'
import type { Task } from '../../kernel/task.ts'
import { type LogFields, taskFields } from './fields.ts'
import type { OwnLines } from './own-lines.ts'
import { writeLine } from './reported.ts'

type Level = 'debug' | 'info' | 'warn' | 'error'

const VERBS: Readonly<Record<Outcome, readonly [Level, string]>> = {
  success: ['info', 'succeeded'],
  failure: ['error', 'failed'],
  retry: ['warn', 'retrying'],
  deferred: ['info', 'deferred'],
  rejected: ['warn', 'rejected'],
  cancelled: ['info', 'cancelled'],
  lost: ['error', 'lost'],
  timeout: ['error', 'timeout'],
  skipped: ['info', 'skipped'],
  restored: ['info', 'restored'],
}

// Assigned one by one: spread objects cost several times the line that they make.
export function startFields({ maxAttempts, priority, waitMs, lost }: Task): LogFields {
  const fields: LogFields = {}
  if (maxAttempts !== undefined) fields.max_attempts = maxAttempts
  if (priority !== undefined) fields.priority = priority
  if (waitMs !== undefined) fields.wait_ms = waitMs
  if (lost) fields.recovered = true
  return fields
}

export function ended(
  logger: Logger,
  own: OwnLines | undefined,
  task: Task,
  ending: Ending,
  slowAfterMs: number,
): void {
  const { outcome, durationMs } = ending
  const [usual, verb] = VERBS[outcome]
  // A pipeline of a thousand steps must not write a thousand lines to say that all went well; its own line says it.
  const level = task.kind === 'step' && usual === 'info' ? 'debug' : usual
  if (outcome !== 'success' || !logger.isLevelEnabled(level) || !own?.succeeded(task, ending)) {
    writeEnding(logger, level, task, ending, outcome === 'rejected' ? 'message.rejected' : `${task.kind}.${verb}`)
  }
  if (task.kind === 'task' && durationMs > slowAfterMs) slow(logger, durationMs)
}

// Functions of their own: what a closure may need is put on the heap before it is known whether there will be one.
function writeEnding(logger: Logger, level: Level, task: Task, ending: Ending, message: string): void {
  write(logger, level, () => endFields(task, ending), message)
}

function slow(logger: Logger, durationMs: number): void {
  write(logger, 'warn', () => ({ duration_ms: round(durationMs) }), 'task.slow')
}

// A warning: whether it is an error is for the task to say, which may try again or go on without.
export function callEnded(logger: Logger, task: Task, { outcome, durationMs, error }: Ending): void {
  if (outcome !== 'failure') return
  // Not `service`: that is the envelope's word for this process.
  const fields = { ext: task.queue, operation: task.name, outcome, duration_ms: round(durationMs) }
  write(logger, 'warn', () => ({ ...fields, error: errorFields(error) }), 'ext.failed')
}

export const LOST = {
  outcome: 'lost',
  reason: 'The attempt before ended without a word; its real start is not known.',
} as const

function endFields(task: Task, { outcome, durationMs, threw, error }: Ending): LogFields {
  const fields = startFields(task)
  fields.outcome = outcome
  fields.duration_ms = round(durationMs)
  const reason = task.endDetails?.['step.skip_reason']
  if (reason !== undefined) fields.reason = reason
  if (!threw) return fields
  if (task.kind === 'task') fields.will_retry = outcome === 'retry'
  if (outcome === 'rejected') {
    fields.reason = rejectReason(error)
    // What the handler said to the reader of the log; a stack would only lead to its `throw reject()`.
    const { type, message } = describeError(error)
    fields.error = { type, message }
    return fields
  }
  fields.error = errorFields(error)
  if (task.fate !== undefined) fields.reason = task.fate
  return fields
}

function errorFields(error: unknown): LogFields {
  const { type, message, stack, code } = describeError(error)
  return {
    type,
    message,
    ...(stack !== undefined && { stack }),
    ...(code !== undefined && { code }),
  }
}

export function noticed(logger: Logger, event: TaskEvent, options: CorrelationOptions): void {
  switch (event.kind) {
    case 'lost':
    case 'failed':
    case 'gave_up': {
      const { task } = event
      correlationOf(task, options, carried)
      const fields = { ...taskFields(task), ...startFields(task), outcome: event.kind === 'lost' ? 'lost' : 'failure' }
      const error = event.error === undefined ? {} : { error: errorFields(event.error) }
      const message = event.kind === 'lost' ? 'task.lost' : 'task.failed'
      return write(logger, 'error', () => ({ ...fields, will_retry: false, ...error }), message)
    }
    case 'schedule':
      return write(logger, 'warn', () => ({ schedule_id: event.schedule, count: event.count }), `cron.${event.event}`)
    case 'broker': {
      const error = event.error === undefined ? {} : { error: errorFields(event.error) }
      const fields = { queue: event.queue, event: event.event, ...error }
      return write(logger, 'warn', () => fields, `broker.${event.event}`)
    }
    case 'reported':
      for (const line of event.report.lines) writeLine(logger, line)
      return
    case 'note':
      return write(logger, event.level, () => noteFields(event), event.name)
    case 'line': {
      const error = event.error === undefined ? {} : { error: errorFields(event.error) }
      return write(logger, event.level, () => ({ ...event.fields, ...error }), event.message)
    }
  }
}

function noteFields({ task, details, error }: Extract<TaskEvent, { kind: 'note' }>): LogFields {
  const fields = taskFields(task)
  for (const key in details) fields[key.slice(key.lastIndexOf('.') + 1)] = details[key]
  if (error !== undefined) fields.error = errorFields(error)
  return fields
}

export function write(logger: Logger, level: Level, fields: () => LogFields, message: string): void {
  guard('logging', 'write', () => {
    if (logger.isLevelEnabled(level)) logger[level](fields(), message)
  })
}

/** The context that a message carried, for its correlation keys. */
export function carried(task: Task): Context {
  return extract(task.carrier)
}
