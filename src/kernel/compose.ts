// The onion: many middlewares as one, with next() checked to be called at most once and awaited.
import { isPromise } from 'node:util/types'
import { observerOf } from './around.ts'
import { TaskspanError } from './errors.ts'
import type { TaskEvent } from './event.ts'
import { fault, guard } from './faults.ts'
import { enter, type Observer, safely } from './observe.ts'
import type { Middleware, Next, Task } from './task.ts'
import { entrusted } from './task-context.ts'

/** One layer of the onion: calls `next` at most once, whatever that does; returns a promise, never throws synchronously. */
type Layer = (task: Task, next: Next) => Promise<unknown>

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
  const parts = middlewares.flatMap((item) => composed.get(item) ?? [item])
  const layers = toLayers(parts)
  const [first] = layers
  const watched = parts[0] !== undefined && observerOf(parts[0]) !== undefined
  const enterOnion = (task: Task, next: Next): Promise<unknown> => {
    if (!watched) entrusted()
    if (first === undefined) return safely(next)
    task.onion ??= onion
    return layers.length === 1 ? first(task, next) : run(layers, 0, task, next)
  }
  const onion: Middleware = Object.assign(enterOnion, {
    notice(event: TaskEvent): void {
      for (const item of parts) notify(item, event)
    },
  })
  composed.set(onion, parts)
  return onion
}

/** The parts of each composition, so that nested ones become one flat onion with as few promises as possible. */
const composed = new WeakMap<Middleware, readonly Middleware[]>()

/** The observers of a middleware, in their order: what may also watch what it does not wrap. */
export function observersOf(middleware: Middleware): readonly Observer[] {
  let found = observing.get(middleware)
  if (found === undefined) {
    found = (composed.get(middleware) ?? [middleware]).flatMap((part) => observerOf(part) ?? [])
    observing.set(middleware, found)
  }
  return found
}

const observing = new WeakMap<Middleware, readonly Observer[]>()

/** The observers that a middleware is made of; undefined where it is made of anything else, which may change a task. */
export function onlyObservers(middleware: Middleware): readonly Observer[] | undefined {
  let found = alone.get(middleware)
  if (found === undefined) {
    const observers = observersOf(middleware)
    found = { observers: observers.length === (composed.get(middleware)?.length ?? 1) ? observers : undefined }
    alone.set(middleware, found)
  }
  return found.observers
}

const alone = new WeakMap<Middleware, { readonly observers: readonly Observer[] | undefined }>()

/** What of a middleware changes tasks, without those parts that only observe them. */
export function withoutObservers(middleware: Middleware): Middleware {
  return compose(...(composed.get(middleware) ?? [middleware]).filter((part) => observerOf(part) === undefined))
}

/** Tells a middleware of an event; a listener that throws is counted, never felt. */
export function notify(middleware: Middleware, event: TaskEvent): void {
  if (middleware.notice === undefined) return
  const told: unknown = guard('middleware', 'notice', () => middleware.notice?.(event))
  // Nobody awaits an async listener, and its rejection would end the process.
  if (isPromise(told)) told.catch((error: unknown) => fault('middleware', 'notice', error))
}

// Neighbouring observers share one layer, and so one promise.
function toLayers(parts: readonly Middleware[]): Layer[] {
  const layers: Layer[] = []
  let chain: Observer[] = []
  for (const part of parts) {
    const observer = observerOf(part)
    if (observer === undefined) {
      chain = []
      layers.push((task, next) => checked(part, task, () => safely(next)))
      continue
    }
    if (chain.length === 0) {
      const own: Observer[] = []
      chain = own
      layers.push((task, next) => enter(own, task, next))
    }
    chain.push(observer)
  }
  return layers
}

function run(layers: readonly Layer[], at: number, task: Task, core: Next): Promise<unknown> {
  const layer = layers[at]
  if (layer === undefined) return safely(core)
  if (at === layers.length - 1) return layer(task, core)
  return layer(task, () => run(layers, at + 1, task, core))
}

async function checked(middleware: Middleware, task: Task, core: Next): Promise<unknown> {
  let inner: Promise<unknown> | undefined
  let settled = false
  let returned = false
  let misuse: TaskspanError | undefined
  const settle = (): void => {
    settled = true
  }
  const next: Next = () => {
    if (returned || inner !== undefined) {
      misuse = returned ? notAwaited(middleware) : calledTwice(middleware)
      if (returned) fault('middleware', 'late_next', misuse) // the task is over: nobody else can be told
      const refused = Promise.reject(misuse)
      refused.catch(() => {}) // not awaited by a careless caller: it must not end the process
      return refused
    }
    inner = core()
    inner.then(settle, settle)
    return inner
  }

  try {
    const result = await middleware(task, next)
    // `return next()` and `await next()` both settle the inner run first; its flag was set before we get here.
    if (inner !== undefined && !settled) throw notAwaited(middleware, await failureOf(inner))
    if (misuse !== undefined) throw misuse
    return result
  } finally {
    returned = true
    // A middleware may also throw early. Never let the broker settle a message whose handler still runs.
    if (inner !== undefined && !settled) await failureOf(inner)
  }
}

/** Waits for a run; gives what it rejected with. */
function failureOf(run: Promise<unknown>): Promise<ErrorOptions> {
  return run.then(
    () => ({}),
    (cause: unknown) => ({ cause }),
  )
}

function calledTwice({ name }: Middleware): TaskspanError {
  return new TaskspanError('NEXT_CALLED_TWICE', `Middleware '${name}' called next() twice.`)
}

function notAwaited({ name }: Middleware, cause?: ErrorOptions): TaskspanError {
  return new TaskspanError('NEXT_NOT_AWAITED', `Middleware '${name}' returned before next() had settled.`, cause)
}
