// The context of a task: OpenTelemetry's, with fields for the two values that each task, step and call sets anew.
import { type Context, context, createContextKey, ROOT_CONTEXT, type Span } from '@opentelemetry/api'
import { fault } from './faults.ts'
import type { Scope } from './scope.ts'
import type { Task } from './task.ts'

/** Under which a context carries our scope; the same key for every copy of the package. */
export const SCOPE = createContextKey('taskspan.scope.1')

// The name that @opentelemetry/api gives it. Should another version not, a span is kept as any other value is.
const SPAN = createContextKey('OpenTelemetry Context Key SPAN')

// OpenTelemetry's own context copies a Map for each value that is set. Fields are an object of three words, no look-up is
// ever long, and what was replaced (a span above a span above a span) is not held.
export class TaskContext implements Context {
  /** What it is entered from, until its span is known or other code runs in it. */
  outer: Context | undefined = undefined

  constructor(
    readonly scope: Scope | undefined,
    public span: unknown,
    public rest: Context,
  ) {}

  /** Takes the span, and what its `parent` carries: that is `outer`, or was made of it. */
  become(parent: Context, span: Span): void {
    if (parent instanceof TaskContext) this.rest = parent.rest
    else if (parent !== this.outer) this.rest = parent
    this.span = span
  }

  getValue(key: symbol): unknown {
    if (key === SPAN) return this.span
    return key === SCOPE ? this.scope : this.rest.getValue(key)
  }

  setValue(key: symbol, value: unknown): Context {
    if (key === SPAN) return new TaskContext(this.scope, value, this.rest)
    if (key === SCOPE) return new TaskContext(value as Scope | undefined, this.span, this.rest)
    return new TaskContext(this.scope, this.span, this.rest.setValue(key, value))
  }

  deleteValue(key: symbol): Context {
    if (key === SPAN || key === SCOPE) return this.setValue(key, undefined)
    return new TaskContext(this.scope, this.span, this.rest.deleteValue(key))
  }
}

/** Nothing but a scope: what a task starts from. */
export function rootOf(scope: Scope | undefined): TaskContext {
  return new TaskContext(scope, undefined, ROOT_CONTEXT)
}

/** A context with another scope. */
export function withScope(active: Context, scope: Scope): TaskContext {
  return active instanceof TaskContext
    ? new TaskContext(scope, active.span, active.rest)
    : new TaskContext(scope, active.getValue(SPAN), active)
}

// A task's context is entered before its span is known: the task must be the current one for whatever its span asks. To
// enter a second context for the span would cost each task as much again, so the first takes it, as long as nobody can have
// kept it: its span's parent is looked up in what it was entered from, and no other code has run in it.
let entered: TaskContext | undefined

/** Says that `active` is entered from `outer` for the task in its scope. */
export function entering(active: TaskContext, outer = NOWHERE): void {
  entered = active
  active.outer = outer
}

const NOWHERE: Context = /* @__PURE__ */ new TaskContext(undefined, undefined, ROOT_CONTEXT)

/** Says that other code runs from here on: the active context stays as it is. */
export function entrusted(): void {
  if (entered !== undefined) entered.outer = undefined // or each context would hold the one before it
  entered = undefined
}

/**
 * The context that was just entered for a task, and takes its span; undefined where other code has run in it, or where
 * the context manager has made one of its own.
 */
export function justEntered(task: Task): TaskContext | undefined {
  const own = entered
  try {
    return own?.scope?.task === task && context.active() === own ? own : undefined
  } catch (error) {
    fault('propagation', 'context', error) // a task has its span also where nobody can tell what is active
    return undefined
  }
}
