// The fields that join a log line to its trace, its task and its request.
import { context, trace } from '@opentelemetry/api'
import { guard } from '../../kernel/faults.ts'
import { currentScope } from '../../kernel/scope.ts'
import type { Task } from '../../kernel/task.ts'

const MAX_ID = 1_024 // BullMQ and Celery let a sender choose any

export type LogFields = Record<string, unknown>

/**
 * The `mixin` for a pino of your own: adds trace ids, task fields and bound keys to every line written inside a task.
 *
 * @example
 * const logger = pino({ mixin })
 */
export function mixin(): LogFields {
  return guard('logging', 'fields', currentFields) ?? {}
}

/** The fields in force here: trace ids, the current task, what `bind()` bound. Empty outside of all of them. */
function currentFields(): LogFields {
  const fields: LogFields = {}
  const span = trace.getSpanContext(context.active())
  if (span !== undefined) {
    fields.trace_id = span.traceId
    fields.span_id = span.spanId
  }
  const scope = currentScope()
  if (scope === undefined) return fields
  if (scope.task !== undefined) addTask(fields, scope.task)
  for (const key in scope.bound) fields[key] = scope.bound[key]
  return fields
}

/** The fields of a task, and of the task that a step or pipeline stands in. */
export function taskFields(task: Task): LogFields {
  const fields: LogFields = {}
  addTask(fields, task)
  return fields
}

function addTask(fields: LogFields, task: Task): void {
  if (task.parent !== undefined) addTask(fields, task.parent)
  if (task.kind === 'task') {
    fields.task_name = task.name
    fields.task_type = task.type
    fields.queue = task.queue
    fields.attempt = task.attempt
    if (task.id !== undefined) fields.task_id = task.id.length > MAX_ID ? task.id.slice(0, MAX_ID) : task.id
    if (task.schedule !== undefined) fields.schedule_id = task.schedule.id
  } else if (task.kind !== 'send') {
    fields.pipeline = task.queue
    const runId = task.details?.['pipeline.run_id']
    if (runId !== undefined) fields.run_id = runId
    if (task.kind === 'step') {
      fields.step = task.name
      fields.attempt = task.attempt
    }
  }
  for (const key in task.correlation) fields[key] = task.correlation[key]
}
