// What is in force around running code, the task and what was bound since, and running code with something else in force.
import { type Context, context, ROOT_CONTEXT } from '@opentelemetry/api'
import { fault, guard } from './faults.ts'
import { shared } from './shared.ts'
import type { Correlation, Task } from './task.ts'
import { entering, rootOf, SCOPE, type TaskContext, withScope } from './task-context.ts'

// A scope travels in OpenTelemetry's context: each AsyncLocalStorage costs something at each promise of the process, also
// at those of the broker's client, and one is enough. Our own is for processes without a context manager.

/** What is in force around running code. */
export interface Scope {
  readonly task: Task | undefined
  /** Log fields and correlation values bound by `bind()`. */
  readonly bound: Correlation
  /** The innermost `ext()` call, to which `usage()` belongs. */
  readonly call?: Task | undefined
}

const NOTHING: Correlation = Object.freeze({})

/** Outside of any task, wherever that was made. */
export const NO_TASK: Scope = Object.freeze({ task: undefined, bound: NOTHING })

/** The scope here; undefined outside of any. Never throws. */
export function currentScope(): Scope | undefined {
  try {
    const carried = context.active().getValue(SCOPE)
    if (carried !== undefined) return carried as Scope
  } catch (error) {
    fault('propagation', 'context', error)
  }
  return shared.scope.getStore()
}

/**
 * The task, step or pipeline that is running here; undefined outside any. Works without any SDK.
 *
 * It travels with OpenTelemetry's context: what is bound to a context knows its task, and what is run in `ROOT_CONTEXT`
 * is outside of it.
 *
 * @example
 * const { name, attempt } = currentTask() ?? {}
 */
export function currentTask(): Task | undefined {
  return currentScope()?.task
}

/** The active context, or the root where a context manager fails. Never throws. */
export function activeContext(): Context {
  return guard('propagation', 'context', active) ?? ROOT_CONTEXT
}

function active(): Context {
  return context.active()
}

/**
 * Runs `fn` with `task` as the current task and nothing else. A worker made inside a request, and whatever context was
 * active when the message arrived, must not leak in: the task starts from the root.
 */
export function within<T>(task: Task, fn: (task: Task) => T): T
export function within<T, Arg>(task: Task, fn: (task: Task, arg: Arg) => T, arg: Arg): T
export function within<T, Arg>(task: Task, fn: (task: Task, arg: Arg) => T, arg?: Arg): T {
  const scope: Scope = { task, bound: NOTHING }
  const active = rootOf(scope)
  entering(active)
  return run(active, new Call(fn, task, arg as Arg, scope))
}

/** What is in force in one place, looked up once for many things that will run there. */
export interface Surroundings {
  readonly active: Context
  readonly scope: Scope
  /** Whether the context manager carries scopes; if not, each that is entered is to be looked at. */
  readonly carries: boolean
}

export function surroundings(): Surroundings {
  const scope = currentScope() ?? NO_TASK
  const active = activeContext()
  const carries = guard('propagation', 'context', () => active.getValue(SCOPE)) === scope
  return { active, scope, carries }
}

/** Runs `fn` with `task` as the current task, inside of what is in force: the active context and the bound keys stay. */
export function inside<T>(task: Task, fn: (task: Task) => T): T
export function inside<T, Arg>(task: Task, fn: (task: Task, arg: Arg) => T, arg: Arg, where?: Surroundings): T
export function inside<T, Arg>(task: Task, fn: (task: Task, arg: Arg) => T, arg?: Arg, where = surroundings()): T {
  const scope: Scope = { task, bound: where.scope.bound }
  const active = carrying(scope, where.active)
  entering(active, where.active)
  return run(active, new Call(fn, task, arg as Arg, where.carries ? undefined : scope))
}

/** Runs `fn` in a scope, and in the active context unless another is given. */
export function runInScope<T>(scope: Scope, fn: () => T, from?: Context): T {
  return run(carrying(scope, from), new Call(fn, undefined, undefined, scope))
}

function carrying(scope: Scope, from?: Context): TaskContext {
  try {
    return withScope(from ?? context.active(), scope)
  } catch (error) {
    fault('propagation', 'context', error)
    return rootOf(scope)
  }
}

/** Runs `fn` in a context; whatever a context manager does, exactly once. */
export function runInContext<T>(active: Context, fn: () => T): T
export function runInContext<T, Arg>(active: Context, fn: (arg: Arg) => T, arg: Arg): T
export function runInContext<T, Arg>(active: Context, fn: (arg: Arg) => T, arg?: Arg): T {
  return run(active, new Call(fn, arg as Arg, undefined, undefined))
}

/** One call of a function in a context: an object handed on, where a closure would be made anew for each task. */
class Call<T, First, Second> {
  ran = false
  threw = false
  /** What the function returned, or threw. */
  result: unknown

  constructor(
    readonly fn: (first: First, second: Second) => T,
    readonly first: First,
    readonly second: Second,
    readonly scope: Scope | undefined,
  ) {}
}

function run<T, First, Second>(active: Context, call: Call<T, First, Second>): T {
  try {
    context.with(active, once<T, First, Second>, undefined, call)
  } catch (error) {
    fault('propagation', 'context', error)
  }
  once(call)
  if (call.threw) throw call.result
  return call.result as T
}

// Never throws into a context manager: that the function threw must not be taken for a fault of the manager's.
function once<T, First, Second>(call: Call<T, First, Second>): void {
  if (call.ran) return
  call.ran = true
  const { fn, first, second, scope } = call
  try {
    call.result =
      scope === undefined || currentScope() === scope ? fn(first, second) : shared.scope.run(scope, fn, first, second)
  } catch (error) {
    call.threw = true
    call.result = error
  }
}
