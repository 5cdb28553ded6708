// One span per task, step, pipeline and send: opened at the right parent, active around the handler, ended once.
import {
  type Attributes,
  type Context,
  context,
  type Link,
  type Span,
  SpanKind,
  type SpanOptions,
  trace,
} from '@opentelemetry/api'
import { around } from '../kernel/around.ts'
import { allowCorrelation, type CorrelationOptions, correlationOf, readsCorrelation } from '../kernel/correlation.ts'
import { atLeast, checkOptions, show, strings } from '../kernel/errors.ts'
import type { TaskEvent } from '../kernel/event.ts'
import { atOnce, guard } from '../kernel/faults.ts'
import { DEFAULT_PREFIX, prefixWrong, SPAN, type SpanNames, spanNames } from '../kernel/names.ts'
import { failed } from '../kernel/outcome.ts'
import { extract } from '../kernel/propagation.ts'
import { activeContext, currentScope } from '../kernel/scope.ts'
import type { Middleware, Task } from '../kernel/task.ts'
import { justEntered, rootOf, type TaskContext } from '../kernel/task-context.ts'
import { currentTracer } from '../kernel/tracer.ts'
import { describe, endSpan, lostSpan, noteOn, startAttributes } from './tracing/content.ts'
import { takeSpans } from './tracing/reported.ts'

/** How a task's span relates to the span that its message carried. */
export type ParentMode = 'child' | 'link' | 'root'

export interface TracingOptions extends CorrelationOptions {
  /** Prefix of span and attribute names. Default `taskiq`. */
  readonly prefix?: string | undefined
  /**
   * `child` continues the sender's trace (default); `link` starts a trace of its own, linked to the sender; `root`
   * starts one without a link. Runs of a schedule are linked unless a function says otherwise: a scheduler's tasks would
   * else pile up in one endless trace.
   */
  readonly parent?: ParentMode | ((task: Task) => ParentMode) | undefined
  /** A message older than this, in ms and without deliberate delay, is linked instead of joined. Default: no limit. */
  readonly maxTraceAgeMs?: number | undefined
  /** More attributes for the span, at its start. At most 64, strings cut at 4,096 characters. A throw is counted. */
  readonly attributes?: ((task: Task) => Attributes | undefined) | undefined
}

/**
 * Middleware that gives each task a span, with the documented names, kinds, attributes, status and links.
 *
 * Without a registered OpenTelemetry SDK it costs next to nothing and records nothing.
 *
 * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`
 * @see https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
 * @example
 * const instrument = bullmq(tracing({ parent: 'link', correlation: ['request_id'] }))
 */
export function tracing(options: TracingOptions = {}): Middleware {
  checkOptions('tracing', options, TRACING_OPTIONS)
  allowCorrelation(options)
  const names = spanNames(options.prefix ?? DEFAULT_PREFIX)

  function notice(event: TaskEvent): void {
    if (event.kind === 'reported') takeSpans(event.report.spans)
    if (event.kind === 'note' && event.task.span !== undefined) noteOn(event.task.span, event, names)
    if (event.kind !== 'lost' && event.kind !== 'failed') return
    const at = Date.now()
    const { span } = open({ ...event.task, lost: undefined }, names, options, event.kind === 'lost' ? at : undefined)
    if (event.kind === 'lost') lostSpan(span, names, at)
    else endSpan(span, event.task, failed(event.task, event.error), names)
  }

  return around<Opened>({
    part: 'tracing',
    start(task) {
      const opened = open(task, names, options)
      task.span = opened.span
      return opened
    },
    end(task, ending, opened) {
      if (opened !== undefined) endSpan(opened.span, task, ending, names)
    },
    notice,
  })
}

/** The options that `tracing()` takes, for those that pass them on. */
export const TRACING_OPTIONS = {
  prefix: prefixWrong,
  parent: (value: unknown) =>
    typeof value === 'function' || MODES.has(value) ? undefined : `${MODE_TEXT} or a function`,
  maxTraceAgeMs: atLeast(0),
  attributes: 'function',
  correlation: strings,
  correlate: 'function',
} as const

interface Opened {
  readonly span: Span
  /** Undefined where the active one has become it. */
  readonly context: Context | undefined
}

function open(task: Task, names: SpanNames, options: TracingOptions, startTime?: number): Opened {
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
const MODES: ReadonlySet<unknown> = new Set<ParentMode>(['child', 'link', 'root'])
const MODE_TEXT = "must be 'child', 'link', 'root'"

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

export { detach, injectHeaders } from './tracing/outgoing.ts'
