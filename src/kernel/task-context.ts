// The context of a task: OpenTelemetry's, with fields for the two values that each task, step and call sets anew.
import { type Context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api'
import type { Scope } from './scope.ts'

/** Under which a context carries our scope; the same key for every copy of the package. */
export const SCOPE = createContextKey('taskspan.scope.1')

// The name that @opentelemetry/api gives it. Should another version not, a span is kept as any other value is.
const SPAN = createContextKey('OpenTelemetry Context Key SPAN')

// OpenTelemetry's own context copies a Map for each value that is set. Fields are an object of three words, no look-up is
// ever long, and what was replaced (a span above a span above a span) is not held.
class TaskContext implements Context {
  constructor(
    readonly scope: Scope | undefined,
    readonly span: unknown,
    readonly rest: Context,
  ) {}

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
export function rootOf(scope: Scope | undefined): Context {
  return new TaskContext(scope, undefined, ROOT_CONTEXT)
}

/** A context with another scope. */
export function withScope(active: Context, scope: Scope): Context {
  return active instanceof TaskContext
    ? new TaskContext(scope, active.span, active.rest)
    : new TaskContext(scope, active.getValue(SPAN), active)
}
