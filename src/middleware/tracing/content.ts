// What stands on a span: attributes at the start, and status, outcome and exception at the end. Bounded.
import { type Attributes, type AttributeValue, type Span, SpanStatusCode } from '@opentelemetry/api'
import { fault, guard } from '../../kernel/faults.ts'
import { ATTR, type SpanNames } from '../../kernel/names.ts'
import { describeError, type Ending, isError, type Outcome } from '../../kernel/outcome.ts'
import type { Task, TaskEvent } from '../../kernel/task.ts'

const MAX_TEXT = 4_096
const MAX_ITEMS = 64

export function startAttributes(
  task: Task,
  names: SpanNames,
  more: ((task: Task) => Attributes | undefined) | undefined,
): Attributes {
  const attributes: Attributes = { ...task.attributes }
  if (task.kind === 'task') taskAttributes(task, names, attributes)
  if (task.system !== undefined) {
    const operation = task.kind === 'send' ? 'send' : 'process'
    attributes[ATTR.system] = task.system
    attributes[ATTR.operationName] = operation
    attributes[ATTR.operationType] = operation
    if (task.queue !== '') attributes[ATTR.destination] = task.queue
    if (task.id !== undefined) attributes[ATTR.messageId] = cut(task.id)
    if (task.kind === 'send' && task.name !== '') attributes[names.taskName] = task.name
  }
  for (const key in task.details) attributes[names.attribute(key)] = task.details[key]
  for (const key in task.correlation) attributes[key] = task.correlation[key]
  if (more !== undefined) addUserAttributes(attributes, task, more)
  return attributes
}

function taskAttributes(task: Task, names: SpanNames, attributes: Attributes): void {
  attributes[ATTR.taskType] = task.type
  attributes[names.taskName] = task.name
  attributes[names.attempt] = task.attempt
  if (task.maxAttempts !== undefined) attributes[names.maxAttempts] = task.maxAttempts
  if (task.priority !== undefined) attributes[names.priority] = task.priority
  if (task.waitMs !== undefined) {
    attributes[names.waitMs] = task.waitMs
    if (task.system !== undefined) attributes[ATTR.receiveLatency] = task.waitMs
  }
  if (task.attempt > 1 && task.system !== undefined) attributes[ATTR.retryCount] = task.attempt - 1
  if (task.lost) attributes[names.recovered] = true
  const { schedule } = task
  if (schedule === undefined) return
  attributes[names.scheduleId] = cut(schedule.id)
  if (schedule.time !== undefined) attributes[names.scheduleTime] = iso(schedule.time)
  if (schedule.driftMs !== undefined) attributes[names.scheduleDrift] = schedule.driftMs
}

function addUserAttributes(attributes: Attributes, task: Task, more: (task: Task) => Attributes | undefined): void {
  const added = guard('tracing', 'attributes', () => Object.entries(more(task) ?? {}))
  for (const [key, value] of added?.slice(0, MAX_ITEMS) ?? []) attributes[key] = bounded(value)
}

/** Ends a span with what its ending says. Each part may fail alone: a span is ended whatever happens before. */
export function endSpan(span: Span, task: Task, ending: Ending, names: SpanNames): void {
  try {
    if (span.isRecording()) record(span, task, ending, names)
  } catch (error) {
    fault('tracing', 'record', error)
  }
  try {
    span.end()
  } catch (error) {
    fault('tracing', 'end', error)
  }
}

function record(span: Span, task: Task, { outcome, threw, error }: Ending, names: SpanNames): void {
  // One key finds every failed span, whatever ran; steps and pipelines carry the word under their own name as well.
  span.setAttribute(names.outcome, outcome)
  if (task.kind === 'step') span.setAttribute(names.stepOutcome, outcome)
  else if (task.kind === 'pipeline') span.setAttribute(names.pipelineOutcome, outcome)
  for (const key in task.endDetails) {
    const value = task.endDetails[key]
    if (value !== undefined) span.setAttribute(names.attribute(key), value)
  }
  if (task.endAttributes !== undefined) span.setAttributes(task.endAttributes)
  if (!threw) return
  if (task.kind === 'task') span.setAttribute(names.willRetry, outcome === 'retry')
  if (!isError(outcome)) return
  const info = describeError(error)
  span.setAttribute(ATTR.errorType, info.type)
  if (info.truncated) span.setAttribute(names.truncated, true)
  span.setStatus({ code: SpanStatusCode.ERROR, message: info.message })
  span.recordException({ name: info.type, message: info.message, ...(info.stack && { stack: info.stack }) })
}

/** Adds what was noted about a running task as an event to its span. */
export function noteOn(span: Span, event: Extract<TaskEvent, { kind: 'note' }>, names: SpanNames): void {
  const attributes: Attributes = {}
  for (const key in event.details) attributes[names.attribute(key)] = event.details[key]
  if (event.error !== undefined) {
    const { type, message } = describeError(event.error)
    attributes[ATTR.exceptionType] = type
    attributes[ATTR.exceptionMessage] = message
  }
  span.addEvent(names.attribute(event.name), attributes)
}

/** Marks and ends the zero-length span of an attempt that nobody saw end. */
export function lostSpan(span: Span, names: SpanNames): void {
  try {
    span.setAttributes(endAttributes('lost', names))
    span.setStatus({ code: SpanStatusCode.ERROR, message: LOST })
  } catch (error) {
    fault('tracing', 'record', error)
  }
  guard('tracing', 'end', () => span.end())
}

export const LOST = 'The attempt ended without a word: its worker died or lost the lock. Its real start is not known.'

export function endAttributes(outcome: Outcome, names: SpanNames): Attributes {
  return { [names.outcome]: outcome, [ATTR.errorType]: 'Lost' }
}

function bounded(value: AttributeValue | undefined): AttributeValue | undefined {
  if (typeof value === 'string') return cut(value)
  if (Array.isArray(value)) {
    return value
      .slice(0, MAX_ITEMS)
      .map((item) => (typeof item === 'string' ? item.slice(0, 256) : item)) as AttributeValue
  }
  return value
}

function cut(value: string): string {
  return value.length > MAX_TEXT ? value.slice(0, MAX_TEXT) : value
}

function iso(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}
