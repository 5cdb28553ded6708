// Promises that are not ours: followed as `await` does, told of at their end, and handed on as their owner made them.
import { fault, guard } from './faults.ts'

const { then } = Promise.prototype

/** Whether nobody has put a `then` of his own in the place of the platform's. */
function isOfPlatform(promise: Promise<unknown>): boolean {
  try {
    return promise.then === Promise.prototype.then
  } catch {
    return false
  }
}

/** What settles as `await` says, for a promise that `Promise.resolve()` has given; whatever it has as its own `then`. */
export function asAwaited(promise: Promise<unknown>): Promise<unknown> {
  return isOfPlatform(promise) ? promise : (then.call(promise) as Promise<unknown>)
}

/** Who is told, once, how a promise has ended. Neither may throw. */
export interface Told {
  readonly returned: () => void
  readonly threw: (error: unknown) => void
}

/**
 * Tells of a promise's end, and gives what its caller is to have of it. Never throws.
 *
 * Of a plain promise that is its successor, with all that was put on it, so that a rejection that nobody handles is still
 * seen as one. One of a client's own class (a request that can be cancelled) is given back itself. Where such a class has
 * its own `then`, only the caller asks it: it may be what starts the work, or what uses up the answer.
 */
export function followed<T>(promise: Promise<T>, part: string, told: Told): Promise<T> {
  const given = guard(part, 'follow', () =>
    Object.getPrototypeOf(promise) === Promise.prototype ? successor(promise, told) : itself(promise, told),
  )
  if (given !== undefined) return given
  told.returned()
  return promise
}

function successor<T>(promise: Promise<T>, { returned, threw }: Told): Promise<T> {
  const passed = (result: T): T => {
    returned()
    return result
  }
  const failed = (error: unknown): never => {
    threw(error)
    throw error
  }
  const next = then.call(promise, passed as never, failed) as Promise<T>
  // Names only: under its symbols a promise has what Node knows of it.
  for (const name of Object.getOwnPropertyNames(promise)) {
    Object.defineProperty(next, name, Object.getOwnPropertyDescriptor(promise, name) as PropertyDescriptor)
  }
  return next
}

function itself<T>(promise: Promise<T>, told: Told): Promise<T> {
  if (isOfPlatform(promise)) promise.then(() => told.returned(), told.threw)
  else listenIn(promise, told)
  return promise
}

/**
 * Hears what its caller hears, who asks at once (by `await`, most often): until then the promise has a `then` that hands
 * on, once. One that nobody has asked within this turn of the event loop is not waited for, and that is counted.
 */
function listenIn(promise: Promise<unknown>, { returned, threw }: Told): void {
  const own = promise.then
  const letGo = (): void => void Reflect.deleteProperty(promise, 'then')
  const hear = (good?: ((value: unknown) => unknown) | null, bad?: ((error: unknown) => unknown) | null): unknown => {
    clearImmediate(unasked)
    letGo()
    const passed = (value: unknown): unknown => {
      returned()
      return typeof good === 'function' ? good(value) : value
    }
    const failed = (error: unknown): unknown => {
      threw(error)
      if (typeof bad !== 'function') throw error
      return bad(error)
    }
    try {
      return own.call(promise, passed, failed)
    } catch (error) {
      threw(error)
      throw error
    }
  }
  Object.defineProperty(promise, 'then', { value: hear, configurable: true, writable: true })
  const unasked = setImmediate(() => {
    letGo()
    returned()
    fault('spans', 'follow', new TypeError('a promise with a then() of its own was not awaited at once'))
  })
}
