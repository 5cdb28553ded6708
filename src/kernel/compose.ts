// The onion: many middlewares as one, with next() checked to be called at most once and awaited.
import { TaskspanError } from './errors.ts'
import { guard } from './faults.ts'
import type { Middleware, Next, Task, TaskEvent } from './task.ts'

/**
 * Composes middlewares into one, the first outermost. Composing returns a middleware, so compositions nest.
 *
 * A middleware that calls `next()` twice, or returns before `next()` has settled, fails the task with a clear error, in
 * production as in development: the alternative is a task that runs twice or is acknowledged while it still runs.
 *
 * @throws {TaskspanError} `INVALID_OPTION` when an item is not a function
 * @example
 * const t = compose(tracing(), metrics(), logging(), myOwn)
 */
export function compose(...middlewares: Middleware[]): Middleware {
  for (const item of middlewares) {
    if (typeof item === 'function') continue
    throw new TaskspanError('INVALID_OPTION', `compose: a middleware must be a function, got ${typeof item}.`)
  }
  const [only] = middlewares
  if (only !== undefined && middlewares.length === 1) return only

  const onion = (task: Task, next: Next): Promise<unknown> => dispatch(middlewares, 0, task, next)
  return Object.assign(onion, {
    notice(event: TaskEvent): void {
      for (const item of middlewares) notify(item, event)
    },
  })
}

/** Tells a middleware of an event; a listener that throws is counted, never felt. */
export function notify(middleware: Middleware, event: TaskEvent): void {
  if (middleware.notice !== undefined) guard('middleware', 'notice', () => middleware.notice?.(event))
}

async function dispatch(middlewares: readonly Middleware[], at: number, task: Task, core: Next): Promise<unknown> {
  const current = middlewares[at]
  if (current === undefined) return core()

  let inner: Promise<unknown> | undefined
  let settled = false
  let misuse: TaskspanError | undefined
  const settle = (): void => {
    settled = true
  }
  const next: Next = () => {
    if (inner !== undefined) {
      misuse = new TaskspanError('NEXT_CALLED_TWICE', `Middleware '${current.name}' called next() twice.`)
      const refused = Promise.reject(misuse)
      refused.catch(() => {}) // not awaited by a careless caller: it must not end the process
      return refused
    }
    inner = dispatch(middlewares, at + 1, task, core)
    inner.then(settle, settle)
    return inner
  }

  const result = await current(task, next)
  // `return next()` and `await next()` both settle the inner run first; its flag was set before we get here.
  if (inner !== undefined && !settled) {
    // Never let the broker settle a message whose handler still runs: wait for it, then say what is wrong.
    await (inner as Promise<unknown>).then(settle, settle)
    misuse = new TaskspanError('NEXT_NOT_AWAITED', `Middleware '${current.name}' returned before next() had settled.`)
  }
  if (misuse !== undefined) throw misuse
  return result
}
