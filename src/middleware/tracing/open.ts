// Opens a span: which parent and links it has, its name and kind, and the context that it is active in.
import { type Context, context, type Link, type Span, SpanKind, type SpanOptions, trace } from '@opentelemetry/api'
import { correlationOf, readsCorrelation } from '../../kernel/correlation.ts'
import { show } from '../../kernel/errors.ts'
import { atOnce, guard } from '../../kernel/faults.ts'
import { SPAN, type SpanNames } from '../../kernel/names.ts'
import { extract } from '../../kernel/propagation.ts'
import { activeContext, currentScope } from '../../kernel/scope.ts'
import type { Task } from '../../kernel/task.ts'
import { justEntered, rootOf, type TaskContext } from '../../kernel/task-context.ts'
import { currentTracer } from '../../kernel/tracer.ts'
import { describe, lostSpan, startAttributes } from './content.ts'
import { MODE_TEXT, MODES, type ParentMode, type TracingOptions } from './options.ts'

export interface Opened {
  readonly span: Span
  /** Undefined where the active one has become it. */
  readonly context: Context | undefined
}

/** Opens the span of whatever starts, at the right parent. */
export function open(task: Task, names: SpanNames, options: TracingOptions, startTime?: number): Opened {
  return task.kind === 'task' ? openTask(task, names, options, startTime) : openHere(task, names, options)
}

function openHere(task: Task, names: SpanNames, options: TracingOptions): Opened {
  const own = ownContext(task, options)
  const parent = own?.outer ?? context.active()
  correlationOf(task, options, activeContext)
  const start: SpanOptions = { kind: kindOf(task), attributes: startAttributes(task, names, options.attributes) }
  if (task.links !== undefined) start.links = task.links as Link[]
  const span = currentTracer().startSpan(nameOf(task, names), start, parent)
  if (options.attributes === undefined) describe(span, task, names)
  return opened(own, parent, span)
}

// What the user is asked about a task runs in its context, may keep it, and may go on in it after its answer.
function ownContext(task: Task, { attributes, correlate, parent }: TracingOptions): TaskContext | undefined {
  const asks = attributes !== undefined || correlate !== undefined || typeof parent === 'function'
  return asks ? undefined : justEntered(task)
}

function opened(own: TaskContext | undefined, parent: Context, span: Span): Opened {
  if (own === undefined) return { span, context: trace.setSpan(parent, span) }
  own.become(parent, span)
  return { span, context: undefined }
}

function openTask(task: Task, names: SpanNames, options: TracingOptions, startTime: number | undefined): Opened {
  const own = ownContext(task, options)
  const root = own?.outer ?? rootOf(currentScope())
  const carried = extract(task.carrier, root)
  if (readsCorrelation(options)) correlationOf(task, options, always(carried))
  const sender = carried === root ? undefined : trace.getSpanContext(carried)
  const mode = sender === undefined ? 'root' : modeOf(task, options)
  const parent = mode === 'child' ? carried : root
  const start: SpanOptions = { kind: kindOf(task), attributes: startAttributes(task, names, options.attributes) }
  if (startTime !== undefined) start.startTime = startTime
  if (mode === 'link' && sender !== undefined) start.links = [...(task.links ?? []), { context: sender }]
  else if (task.links !== undefined) start.links = task.links as Link[]
  const span = task.lost
    ? openAfterLost(task.lost, task, names, start, parent)
    : currentTracer().startSpan(nameOf(task, names), start, parent)
  if (options.attributes === undefined) describe(span, task, names)
  return opened(own, parent, span)
}

// The attempts that nobody saw end have spans of their own, linked both ways with the span of the run that found it out.
function openAfterLost(count: number, task: Task, names: SpanNames, start: SpanOptions, parent: Context): Span {
  const tracer = currentTracer()
  const name = nameOf(task, names)
  const { links = [] } = start
  const before = { ...start, links, startTime: task.startedAt }
  const lost: Span[] = []
  for (let n = 0; n < Math.min(count, MAX_LOST_SPANS); n++) {
    const gone = { ...task, lost: undefined, waitMs: undefined }
    const span = tracer.startSpan(name, { ...before, attributes: startAttributes(gone, names, undefined) }, parent)
    describe(span, gone, names)
    lost.push(span)
  }
  const all = [...links, ...lost.map((span) => ({ context: span.spanContext() }))]
  const span = tracer.startSpan(name, { ...start, links: all }, parent)
  for (const gone of lost) {
    guard('tracing', 'link', () => gone.addLink({ context: span.spanContext() }))
    lostSpan(gone, names, task.startedAt)
  }
  return span
}

// In a function of its own: a closure would cost each task, also those without correlation.
function always<T>(value: T): () => T {
  return () => value
}

const MAX_LOST_SPANS = 5

function modeOf(task: Task, { parent = 'child', maxTraceAgeMs }: TracingOptions): ParentMode {
  if (typeof parent === 'function') {
    const chosen = guard('tracing', 'parent', () => {
      const mode = atOnce(parent(task))
      if (!MODES.has(mode)) throw new TypeError(`${MODE_TEXT}, got ${show(mode)}`)
      return mode
    })
    return chosen ?? (task.type === 'cron' ? 'link' : 'child')
  }
  if (parent !== 'child') return parent
  if (task.type === 'cron') return 'link'
  return maxTraceAgeMs !== undefined && task.ageMs !== undefined && task.ageMs > maxTraceAgeMs ? 'link' : 'child'
}

function nameOf(task: Task, names: SpanNames): string {
  switch (task.kind) {
    case 'task':
      return names.task(task.name)
    case 'send':
      return SPAN.send(task.queue)
    case 'step':
      return SPAN.step(task.name)
    case 'pipeline':
      return SPAN.pipeline(task.name)
    case 'service':
      return task.name
    case 'ext':
      return SPAN.ext(task.queue, task.name)
    case 'sse':
      return SPAN.sse(task.name)
  }
}

function kindOf(task: Task): SpanKind {
  if (task.kind === 'send' || task.kind === 'sse') return SpanKind.PRODUCER
  if (task.kind === 'ext') return SpanKind.CLIENT
  return task.kind === 'task' && task.system !== undefined ? SpanKind.CONSUMER : SpanKind.INTERNAL
}
