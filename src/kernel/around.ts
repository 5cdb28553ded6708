// Observers as middleware: what stands in an onion beside functions, and is known there for what it is.
import { enter, type Observer, type Started } from './observe.ts'
import type { Middleware, Next, Task } from './task.ts'

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
