// The flow of a send: a task of kind `send` around one call that hands messages to a broker. Never fails that call.
import { isPromise } from 'node:util/types'
import { type Attributes, type Context, context, ROOT_CONTEXT } from '@opentelemetry/api'
import { onlyObservers } from './compose.ts'
import { createTask } from './create-task.ts'
import { fault, guard } from './faults.ts'
import { type Observer, watch } from './observe.ts'
import { injectCarrier } from './propagation.ts'
import type { Middleware, Task, TaskFields } from './task.ts'

/**
 * Runs `send` exactly once, synchronously, inside the onion, and gives back what it gives, or throws what it throws.
 *
 * Law 2 for producers: what the caller is given is what `send` gives, no promise of the onion's. A middleware that
 * throws, delays or never calls `next()` changes nothing for the caller; it is counted.
 *
 * @param send gets what the message should carry; it must be called in the same tick, as `channel.publish` is
 */
export function produce<T>(
  system: string,
  middleware: Middleware,
  fields: TaskFields,
  send: (carrier: Record<string, string>, task: Task) => T,
): T {
  const task = createTask('send', fields, { system })
  let sent: { value: T } | { error: unknown } | undefined
  const once = (): { value: T } | { error: unknown } => {
    if (sent !== undefined) return sent
    try {
      sent = { value: send(injectCarrier(), task) }
    } catch (error) {
      sent = { error }
    }
    return sent
  }
  const answer = (): unknown => {
    const outcome = once()
    if ('error' in outcome) throw outcome.error
    return isThenable(outcome.value) ? Promise.resolve(outcome.value) : outcome.value
  }
  const observers = onlyObservers(middleware)
  if (observers !== undefined) {
    task.onion = middleware
    observe(observers, task, answer)
  } else {
    try {
      // The caller sees the send's own error below; here it has already been recorded by the middleware.
      middleware(task, async () => answer()).catch((error: unknown) => {
        if (sent === undefined || !('error' in sent) || sent.error !== error) ownFault(sent, error)
      })
    } catch (error) {
      fault('send', 'middleware', error)
    }
  }
  // A middleware that waits before next(), or never calls it, has no say over the call: it comes without its trace.
  if (sent === undefined) fault('send', 'next_not_called')
  const outcome = once()
  if ('error' in outcome) throw outcome.error
  return outcome.value
}

// Without an onion that could change anything, a send that answers at once has ended at once, and needs no promise.
function observe(observers: readonly Observer[], task: Task, answer: () => unknown): void {
  try {
    const followed = watch(observers, task, answer)
    if (isPromise(followed)) followed.catch(() => {}) // the caller has the client's own
  } catch {
    // The send's own error, recorded by now: the caller gets it from the send.
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (typeof value !== 'object' || value === null) return false
  return guard('send', 'answer', () => typeof (value as { then?: unknown }).then === 'function') ?? false
}

// A rejection may be the broker's own, seen through the middleware: that one belongs to the caller, not to the sink.
function ownFault(sent: unknown, error: unknown): void {
  const value = (sent as { value?: unknown } | undefined)?.value
  Promise.resolve(value).then(
    () => fault('send', 'middleware', error),
    (own: unknown) => {
      if (own !== error) fault('send', 'middleware', error)
    },
  )
}

/** A send that is told of its start and its end, for broker clients that call back instead of being called. */
export interface OpenSend {
  readonly carrier: Record<string, string>
  /** The context with the send's span active. */
  readonly context: Context
  /** What became known meanwhile: span attributes under their full names, and the name of the task that was sent. */
  readonly add: (attributes: Attributes, name?: string) => void
  readonly end: (error?: { readonly error: unknown }) => void
}

/** Opens a send: the onion stands around the time until `end()`. Never throws. */
export function openSend(system: string, middleware: Middleware, fields: TaskFields): OpenSend {
  let settle: { resolve: () => void; reject: (error: unknown) => void } | undefined
  const done = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject }
  })
  done.catch(() => {})
  const here = (): Context => guard('send', 'context', () => context.active()) ?? ROOT_CONTEXT
  let active = here()
  let carrier: Record<string, string> = {}
  let opened: Task | undefined
  try {
    produce(system, middleware, fields, (injected, task) => {
      carrier = injected
      opened = task
      active = here()
      return done
    })
  } catch (error) {
    fault('send', 'open', error)
  }
  return {
    carrier,
    context: active,
    add(attributes, name) {
      if (opened === undefined) return
      opened.endAttributes = Object.assign(opened.endAttributes ?? {}, attributes)
      if (name !== undefined) opened.endDetails = { 'task.name': name }
    },
    end: (failure) => (failure === undefined ? settle?.resolve() : settle?.reject(failure.error)),
  }
}
