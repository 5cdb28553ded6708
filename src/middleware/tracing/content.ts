// What stands on a span: attributes at the start, and status, outcome and exception at the end. Bounded.
import { type Attributes, type Span, SpanStatusCode } from '@opentelemetry/api'
import { cut } from '../../kernel/cut.ts'
import type { TaskEvent } from '../../kernel/event.ts'
import { atOnce, fault, guard } from '../../kernel/faults.ts'
import { ATTR, type SpanNames } from '../../kernel/names.ts'
import { describeError, type Ending, isError, rejectReason } from '../../kernel/outcome.ts'
import { isCall, type Task } from '../../kernel/task.ts'
import { bounded, takeOver } from './bounds.ts'

const MAX_ID = 512

export function startAttributes(
  task: Task,
  names: SpanNames,
  more: ((task: Task) => Attributes | undefined) | undefined,
): Attributes {
  const attributes: Attributes = {}
  // Those of a call are the user's own, written where it is made.
  if (isCall(task)) addUserAttributes(attributes, task, names, () => task.attributes)
  else if (task.attributes !== undefined) Object.assign(attributes, task.attributes)
  if (task.kind === 'task') taskAttributes(task, names, attributes)
  if (task.system !== undefined) {
    const operation = task.kind === 'send' ? 'send' : 'process'
    attributes[ATTR.system] = task.system
    attributes[ATTR.operationName] = operation
    attributes[ATTR.operationType] = operation
    if (task.queue !== '') attributes[ATTR.destination] = cut(task.queue, MAX_ID)
    if (task.id !== undefined && task.kind !== 'task') attributes[ATTR.messageId] = cut(task.id, MAX_ID)
    if (task.kind === 'send' && task.name !== '') attributes[names.taskName] = task.name
  }
  if (task.kind === 'step') {
    attributes[names.pipelineName] = task.queue
    attributes[names.stepId] = task.name
  } else for (const key in task.details) attributes[names.attribute(key)] = bounded(task.details[key])
  for (const key in task.correlation) attributes[key] = task.correlation[key]
  if (more === undefined) return attributes
  // What the user says of a task goes over what we say.
  rest(into(attributes), task, names)
  addUserAttributes(attributes, task, names, more)
  return attributes
}

function taskAttributes(task: Task, names: SpanNames, attributes: Attributes): void {
  attributes[ATTR.taskType] = task.type
  attributes[names.taskName] = task.name
  attributes[names.attempt] = task.attempt
  if (task.priority !== undefined) attributes[names.priority] = task.priority
  if (task.lost) attributes[names.recovered] = true
  const { schedule } = task
  if (schedule === undefined) return
  attributes[names.scheduleId] = cut(schedule.id, MAX_ID)
  if (schedule.time !== undefined) attributes[names.scheduleTime] = iso(schedule.time)
  if (schedule.driftMs !== undefined) attributes[names.scheduleDrift] = schedule.driftMs
}

/**
 * The rest of what is known of a task at its start: values that differ from task to task, and that no sampler asks for.
 * The SDK copies each attribute that a span starts with three times over, sampled or not, and one that is set then once.
 */
export function describe(span: Span, task: Task, names: SpanNames): void {
  try {
    if (span.isRecording()) rest(span, task, names)
  } catch (error) {
    fault('tracing', 'record', error)
  }
}

function rest(span: Pick<Span, 'setAttribute'>, task: Task, names: SpanNames): void {
  if (task.kind === 'step') return restOfStep(span, task, names)
  if (task.kind !== 'task') return
  if (task.maxAttempts !== undefined) span.setAttribute(names.maxAttempts, task.maxAttempts)
  if (task.waitMs !== undefined) span.setAttribute(names.waitMs, task.waitMs)
  if (task.system === undefined) return
  if (task.id !== undefined) span.setAttribute(ATTR.messageId, cut(task.id, MAX_ID))
  if (task.waitMs !== undefined) span.setAttribute(ATTR.receiveLatency, task.waitMs)
  if (task.attempt > 1) span.setAttribute(ATTR.retryCount, task.attempt - 1)
}

function restOfStep(span: Pick<Span, 'setAttribute'>, task: Task, names: SpanNames): void {
  const runId = task.details?.['pipeline.run_id']
  if (runId !== undefined) span.setAttribute(names.runId, runId)
  span.setAttribute(names.stepAttempt, task.attempt)
  if (task.needs !== undefined) span.setAttribute(names.stepNeeds, task.needs as string[])
  if (task.waitMs !== undefined) span.setAttribute(names.stepWaitMs, task.waitMs)
}

// An object that takes attributes as a span does.
function into(attributes: Attributes): Pick<Span, 'setAttribute'> {
  return {
    setAttribute(key, value): Span {
      attributes[key] = value
      return this as Span
    },
  }
}

function addUserAttributes(
  attributes: Attributes,
  task: Task,
  names: SpanNames,
  more: (task: Task) => Attributes | undefined,
): void {
  const added = guard('tracing', 'attributes', () => Object.entries(atOnce(more(task)) ?? {})) ?? []
  if (!takeOver(added, attributes)) attributes[names.truncated] = true
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
    const value = bounded(task.endDetails[key])
    if (value !== undefined) span.setAttribute(names.attribute(key), value)
  }
  if (task.endAttributes !== undefined) span.setAttributes(task.endAttributes)
  if (!threw) return
  if (task.kind === 'task') span.setAttribute(names.willRetry, outcome === 'retry')
  if (outcome === 'rejected') span.setAttribute(names.rejectReason, rejectReason(error) ?? 'other')
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

/** Marks the span of an attempt that nobody saw end, and ends it when it began: it has no length that is known. */
export function lostSpan(span: Span, names: SpanNames, at: number): void {
  try {
    span.setAttributes({ [names.outcome]: 'lost', [ATTR.errorType]: 'Lost' })
    span.setStatus({ code: SpanStatusCode.ERROR, message: LOST })
  } catch (error) {
    fault('tracing', 'record', error)
  }
  guard('tracing', 'end', () => span.end(at))
}

const LOST = 'The attempt ended without a word: its worker died or lost the lock. Its real start is not known.'

function iso(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}
