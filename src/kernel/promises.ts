// Promises that are not ours: told of at their end, and handed on as their owner made them.
import { guard } from './faults.ts'

/** The platform's own, as `await` takes it: what somebody has put on a promise under this name could be anything. */
export const promiseThen = Promise.prototype.then // not exported as `then`: whoever imports a module that has one awaits it

/** A promise that settles as `await` says, whatever `then` somebody has put on it. */
export function asAwaited(promise: Promise<unknown>): Promise<unknown> {
  return Object.hasOwn(promise, 'then') ? (promiseThen.call(promise) as Promise<unknown>) : promise
}

/** Who is told how a promise has ended. Neither may throw. */
export interface Told {
  readonly returned: () => void
  readonly threw: (error: unknown) => void
}

/**
 * Tells of a promise's end, and gives what its caller is to have of it. Never throws.
 *
 * Of a plain promise that is its successor, so that a rejection that nobody handles is still seen as one. What a client has
 * made of its promise (a class of its own for a request that can be cancelled, a function put on it) is part of the result:
 * that is given back itself.
 */
export function followed<T>(promise: Promise<T>, part: string, { returned, threw }: Told): Promise<T> {
  const isOfPlatform = Object.getPrototypeOf(promise) === Promise.prototype
  if (isOfPlatform && Object.getOwnPropertyNames(promise).length === 0) {
    const passed = (result: T): T => {
      returned()
      return result
    }
    const failed = (error: unknown): never => {
      threw(error)
      throw error
    }
    return promise.then(passed, failed)
  }
  const isFollowed = guard(part, 'follow', () => {
    // A class of its own may be settled only by its own `then`: a client that reads the answer when it is asked.
    ;(isOfPlatform ? promiseThen : promise.then).call(promise, () => returned(), threw)
    return true
  })
  if (!isFollowed) returned()
  return promise
}
