// A call inside a task (a service, a service of others, an event to a browser), seen by the observers around the task.
import { INVALID_SPAN_CONTEXT, type Span, trace } from '@opentelemetry/api'
import { observersOf } from './compose.ts'
import { createTask } from './create-task.ts'
import { watch } from './observe.ts'
import { currentScope, currentTask, NO_TASK, runInScope } from './scope.ts'
import { shared } from './shared.ts'
import type { CallKind, Middleware, Task, TaskFields } from './task.ts'

/**
 * Runs `fn` once, watched; its result and its error are its own. Only observers take part: a middleware that may fail or
 * repeat a task has no say over a call inside it.
 *
 * @param otherwise who sees calls where neither a task nor a `telemetry()` exists
 */
export function call<T>(kind: CallKind, fields: TaskFields, otherwise: () => Middleware, fn: (span: Span) => T): T {
  const parent = currentTask()
  const details = runIdOf(parent)
  const task = createTask(kind, details === undefined ? fields : { ...fields, details }, { signal: parent?.signal })
  task.onion = onionAround(parent) ?? shared.telemetry ?? otherwise()
  return watch(observersOf(task.onion), task, () => {
    // Without tracing there is no span of its own, and the one around it is not the call's to write on.
    const span = task.span ?? trace.wrapSpanContext(INVALID_SPAN_CONTEXT)
    if (kind !== 'ext') return fn(span)
    const { task: current, bound } = currentScope() ?? NO_TASK
    return runInScope({ task: current, bound, call: task }, () => fn(span))
  })
}

// A pipeline without telemetry of its own inside of a task that has it.
function onionAround(parent: Task | undefined): Middleware | undefined {
  for (let at = parent; at !== undefined; at = at.parent) if (at.onion !== undefined) return at.onion
  return undefined
}

const RUN_ID = 'pipeline.run_id'

function runIdOf(parent: Task | undefined): TaskFields['details'] {
  for (let at = parent; at !== undefined; at = at.parent) {
    const runId = at.details?.[RUN_ID]
    if (runId !== undefined) return { [RUN_ID]: runId }
  }
  return undefined
}
