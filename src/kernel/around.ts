// Middleware as a pair of start and end around one promise: what observes without changing, at the least cost.
import { types } from 'node:util'
import type { Context } from '@opentelemetry/api'
import { fault, guard } from './faults.ts'
import { type Ending, failed, succeeded } from './outcome.ts'
import { runInContext } from './propagation.ts'
import type { Middleware, Next, Task, TaskEvent } from './task.ts'

/** What an observer keeps from start to end; with `context`, that context is active in between. */
export interface Started {
  readonly context?: Context | undefined
}

/**
 * Watches tasks without changing them. Whatever it throws is counted, never felt by the task.
 *
 * A pair instead of a function: `compose` puts neighbouring observers around one promise, where each middleware function
 * costs several. The pair cannot forget its end: that is called for every start, also for one that threw.
 */
export interface Observer<State extends Started = Started> {
  /** Its name in `taskiq_telemetry_errors_total{part}`. */
  readonly part: string
  readonly start: (task: Task) => State | undefined
  readonly end: (task: Task, ending: Ending, state: State | undefined) => void
  readonly notice?: ((event: TaskEvent) => void) | undefined
}

const observers = new WeakMap<Middleware, Observer>()

/** An observer as an ordinary middleware. */
export function around<State extends Started>(observer: Observer<State>): Middleware {
  const chain = [observer as unknown as Observer]
  const middleware: Middleware = Object.assign((task: Task, next: Next) => enter(chain, task, next), {
    notice: observer.notice,
  })
  Object.defineProperty(middleware, 'name', { value: observer.part, configurable: true })
  observers.set(middleware, observer as unknown as Observer)
  return middleware
}

/** The observer behind a middleware, if it is one. */
export function observerOf(middleware: Middleware): Observer | undefined {
  return observers.get(middleware)
}

/** Runs observers, the first outermost, around `next`, which must return a promise and not throw. */
export function enter(chain: readonly Observer[], task: Task, next: Next): Promise<unknown> {
  const states: (Started | undefined)[] = new Array(chain.length)
  return startFrom(chain, 0, states, task, () =>
    next().then(
      (result) => {
        end(chain, states, task, succeeded(task))
        return result
      },
      (error: unknown) => {
        end(chain, states, task, failed(task, error))
        throw error
      },
    ),
  )
}

/**
 * Runs observers around a call that may be synchronous, and gives back what it gives. A promise is followed to its end.
 * Other thenables are not: asking them may be what starts them (a query builder), and a second time starts them again.
 */
export function watch<T>(chain: readonly Observer[], task: Task, fn: () => T): T {
  const states: (Started | undefined)[] = new Array(chain.length)
  const ran = startFrom(chain, 0, states, task, (): { value: T } | { error: unknown } => {
    let value: T
    try {
      value = fn()
    } catch (error) {
      end(chain, states, task, failed(task, error))
      return { error }
    }
    if (types.isPromise(value)) return { value: followed(value, chain, states, task) as T }
    end(chain, states, task, succeeded(task))
    return { value }
  })
  if ('error' in ran) throw ran.error
  return ran.value
}

function followed(
  promise: Promise<unknown>,
  chain: readonly Observer[],
  states: readonly (Started | undefined)[],
  task: Task,
): Promise<unknown> {
  const next = guard('spans', 'follow', () =>
    promise.then(
      (result) => {
        end(chain, states, task, succeeded(task))
        return result
      },
      (error: unknown) => {
        end(chain, states, task, failed(task, error))
        throw error
      },
    ),
  )
  if (next === undefined) {
    end(chain, states, task, succeeded(task))
    return promise
  }
  // A plain promise goes on as its successor, so that a rejection that nobody handles is still seen as one. A client's own
  // kind of promise (a request that can be cancelled) is given back itself; its methods are part of the result.
  if (Object.getPrototypeOf(promise) === Promise.prototype) return next
  next.catch(() => {})
  return promise
}

// Starts one after the other, each inside the context of those before, and then `core`, which must not throw.
function startFrom<T>(
  chain: readonly Observer[],
  from: number,
  states: (Started | undefined)[],
  task: Task,
  core: () => T,
): T {
  for (let at = from; at < chain.length; at++) {
    const observer = chain[at] as Observer
    let state: Started | undefined
    try {
      state = observer.start(task)
    } catch (error) {
      fault(observer.part, 'start', error)
    }
    states[at] = state
    if (state?.context !== undefined) {
      const isLast = at + 1 === chain.length
      return runInContext(state.context, isLast ? core : () => startFrom(chain, at + 1, states, task, core))
    }
  }
  return core()
}

function end(chain: readonly Observer[], states: readonly (Started | undefined)[], task: Task, ending: Ending): void {
  for (let at = chain.length - 1; at >= 0; at--) {
    const observer = chain[at] as Observer
    try {
      observer.end(task, ending, states[at])
    } catch (error) {
      fault(observer.part, 'end', error)
    }
  }
}
