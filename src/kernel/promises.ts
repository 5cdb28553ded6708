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

/** Who is told, once, how something has ended. Neither may throw. */
export interface EndListener {
  returned(result: unknown): void
  threw(error: unknown): void
}

/**
 * Tells of a promise's end, and gives what its caller is to have of it. Never throws.
 *
 * Of a plain promise that is its successor, with all that was put on it, so that a rejection that nobody handles is still
 * seen as one. One of a client's own class (a request that can be cancelled) is given back itself. Where such a class has
 * its own `then`, only the caller asks it: it may be what starts the work, or what uses up the answer.
 */
export function followed<T>(promise: Promise<T>, part: string, listener: EndListener): Promise<T> {
  const given = guard(part, 'follow', () => {
    if (Object.getPrototypeOf(promise) === Promise.prototype) return successor(promise, listener)
    if (isOfPlatform(promise)) hear(promise, listener)
    else hearWithCaller(promise, part, listener)
    return promise
  })
  if (given !== undefined) return given
  listener.returned(undefined)
  return promise
}

function hear(promise: Promise<unknown>, listener: EndListener): void {
  promise.then(
    (result) => listener.returned(result),
    (error: unknown) => listener.threw(error),
  )
}

function successor<T>(promise: Promise<T>, listener: EndListener): Promise<T> {
  const passed = (result: T): T => {
    listener.returned(result)
    return result
  }
  const failed = (error: unknown): never => {
    listener.threw(error)
    throw error
  }
  const next = then.call(promise, passed as never, failed) as Promise<T>
  // Names only: under its symbols a promise has what Node knows of it.
  for (const name of Object.getOwnPropertyNames(promise)) {
    Object.defineProperty(next, name, Object.getOwnPropertyDescriptor(promise, name) as PropertyDescriptor)
  }
  return next
}

/**
 * Hears what its caller hears, who asks at once (by `await`, most often): until then the promise has a `then` that hands
 * on, once. One that nobody has asked within this turn of the event loop is not waited for, and that is counted.
 */
function hearWithCaller(promise: Promise<unknown>, part: string, ear: EndListener): void {
  const own = promise.then
  const before = Object.getOwnPropertyDescriptor(promise, 'then')
  const listener = firstOnly(ear)
  const letGo = (): void => {
    if (Object.getOwnPropertyDescriptor(promise, 'then')?.value !== handOn) return
    if (before === undefined) Reflect.deleteProperty(promise, 'then')
    else Reflect.defineProperty(promise, 'then', before)
  }
  const handOn = (good?: ((value: unknown) => unknown) | null, bad?: ((error: unknown) => unknown) | null): unknown => {
    clearImmediate(unasked)
    letGo()
    const passed = (value: unknown): unknown => {
      listener.returned(value)
      return typeof good === 'function' ? good(value) : value
    }
    const failed = (error: unknown): unknown => {
      listener.threw(error)
      if (typeof bad !== 'function') throw error
      return bad(error)
    }
    try {
      return own.call(promise, passed, failed)
    } catch (error) {
      listener.threw(error)
      throw error
    }
  }
  Object.defineProperty(promise, 'then', { value: handOn, configurable: true, writable: true })
  const unasked = setImmediate(() => {
    letGo()
    listener.returned(undefined)
    fault(part, 'follow', new TypeError('a promise with a then() of its own was not awaited at once'))
  })
}

// Whoever awaits twice in one turn has asked twice; and a `then` of somebody else's may answer twice, or answer and throw.
function firstOnly(listener: EndListener): EndListener {
  let waiting: EndListener | undefined = listener
  const take = (): EndListener | undefined => {
    const taken = waiting
    waiting = undefined
    return taken
  }
  return { returned: (result) => take()?.returned(result), threw: (error) => take()?.threw(error) }
}
