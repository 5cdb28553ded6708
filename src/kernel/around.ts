// Middleware as a pair of start and end around one promise: what observes without changing, at the least cost.
import type { Context } from '@opentelemetry/api'
import { fault } from './faults.ts'
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
  return startFrom(chain, 0, new Array(chain.length), task, next)
}

function startFrom(
  chain: readonly Observer[],
  from: number,
  states: (Started | undefined)[],
  task: Task,
  next: Next,
): Promise<unknown> {
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
      return runInContext(state.context, () => startFrom(chain, at + 1, states, task, next))
    }
  }
  return next().then(
    (result) => {
      end(chain, states, task, succeeded(task))
      return result
    },
    (error: unknown) => {
      end(chain, states, task, failed(task, error))
      throw error
    },
  )
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
