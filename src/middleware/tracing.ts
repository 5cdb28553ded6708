// One span per task, step, pipeline and send: opened at the right parent, active around the handler, ended once.
import { around } from '../kernel/around.ts'
import { allowCorrelation } from '../kernel/correlation.ts'
import { checkOptions } from '../kernel/errors.ts'
import type { TaskEvent } from '../kernel/event.ts'
import { DEFAULT_PREFIX, spanNames } from '../kernel/names.ts'
import { failed } from '../kernel/outcome.ts'
import type { Middleware } from '../kernel/task.ts'
import { endSpan, lostSpan, noteOn } from './tracing/content.ts'
import { type Opened, open } from './tracing/open.ts'
import { TRACING_OPTIONS, type TracingOptions } from './tracing/options.ts'
import { takeSpans } from './tracing/reported.ts'

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

export { type ParentMode, TRACING_OPTIONS, type TracingOptions } from './tracing/options.ts'
export { detach, injectHeaders } from './tracing/outgoing.ts'
