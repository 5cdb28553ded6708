// Work that leaves a task: headers for outgoing HTTP, and work that outlives its handler.
import { isPromise } from 'node:util/types'
import { context, type Link, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { guard } from '../../kernel/faults.ts'
import { SPAN } from '../../kernel/names.ts'
import { describeError } from '../../kernel/outcome.ts'
import { followed } from '../../kernel/promises.ts'
import { injectCarrier } from '../../kernel/propagation.ts'
import { currentScope, runInScope } from '../../kernel/scope.ts'
import { currentTracer } from '../../kernel/tracer.ts'

/**
 * Headers for an outgoing HTTP request that continue this trace; only where no HTTP instrumentation does it already.
 *
 * @param headers your own headers; copied, never written to
 * @returns your headers and `traceparent`, `tracestate`, and of `baggage` the allowed correlation keys
 * @see https://www.w3.org/TR/trace-context/
 * @example
 * await fetch(url, { headers: injectHeaders({ accept: 'application/json' }) })
 */
export function injectHeaders(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { ...headers, ...injectCarrier() }
}

/**
 * Runs work that outlives its handler: a trace of its own, linked to the task, so that its spans do not hang below a
 * span that has long ended. Correlation values stay bound; `currentTask()` is undefined inside.
 *
 * @returns what `fn` returns; its errors are yours to handle, as without us
 * @example
 * void detach(async () => { await warmCache(project) }).catch(report)
 */
export function detach<T>(fn: () => T): T {
  const scope = currentScope()
  const name = scope?.task?.name ?? 'work'
  const bound = { ...scope?.task?.correlation, ...scope?.bound }
  const span = guard('tracing', 'detach', () => {
    const active = trace.getSpanContext(context.active())
    const links: Link[] = active === undefined ? [] : [{ context: active }]
    return currentTracer().startSpan(SPAN.detached(name), { kind: SpanKind.INTERNAL, links }, ROOT_CONTEXT)
  })
  const end = (failure?: { error: unknown }): void => {
    guard('tracing', 'end', () => {
      if (failure !== undefined)
        span?.setStatus({ code: SpanStatusCode.ERROR, message: describeError(failure.error).message })
      span?.end()
    })
  }
  const root = (span && guard('tracing', 'detach', () => trace.setSpan(ROOT_CONTEXT, span))) ?? ROOT_CONTEXT
  let result: T
  try {
    result = runInScope({ task: undefined, bound }, fn, root)
  } catch (error) {
    end({ error })
    throw error
  }
  if (isPromise(result)) {
    return followed(result, 'tracing', { returned: () => end(), threw: (error) => end({ error }) }) as T
  }
  end()
  return result
}
