// Observers, and how they are run around a call: each as a pair of start and end, at the least cost.
import { isPromise } from 'node:util/types'
import type { Context } from '@opentelemetry/api'
import type { TaskEvent } from './event.ts'
import { fault } from './faults.ts'
import { type Ending, failed, succeeded } from './outcome.ts'
import { asAwaited, type EndListener, followed } from './promises.ts'
import { inside, runInContext, type Surroundings } from './scope.ts'
import type { Next, Task } from './task.ts'
import { entrusted } from './task-context.ts'

/** What an observer keeps from start to end; with `context`, that context is active in between. */
export interface Started {
  readonly context?: Context | undefined
}

/**
 * Watches tasks without changing them. Whatever it throws is counted, never felt by the task; so is what an async `end`
 * rejects with, which is not waited for.
 *
 * A pair instead of a function: `compose` puts neighbouring observers around one promise, where each middleware function
 * costs several. The pair cannot forget its end: that is called for every start, also for one that threw.
 */
export interface Observer<State extends Started = Started> {
  /** Its name in `taskiq_telemetry_errors_total{part}`. */
  readonly part: string
  readonly start?: ((task: Task) => State | undefined) | undefined
  readonly end?: ((task: Task, ending: Ending, state: State | undefined) => void) | undefined
  readonly notice?: ((event: TaskEvent) => void) | undefined
}

/** Runs observers, the first outermost, around `next`. Whatever that does, a promise comes of it. */
export function enter(chain: readonly Observer[], task: Task, next: Next): Promise<unknown> {
  return start(new Run(chain, task, next, follow))
}

/** A call whose end nobody awaits: it is told of it. */
export interface Attended extends EndListener {
  call(): unknown
}

/**
 * Enters a task, runs observers around its call, and tells it of its end where they are told: in the context of the call,
 * and without a promise for whoever would await one. Never in the same tick, so that one call after the other does not nest.
 */
export function attend(chain: readonly Observer[], task: Task, call: Attended, where: Surroundings): void {
  inside(task, begin, new Run(chain, task, call, tell), where)
}

function begin(_: Task, run: Run<Attended, void>): void {
  start(run)
}

interface Watched {
  readonly chain: readonly Observer[]
  readonly task: Task
  /** One per observer. */
  readonly states: (Started | undefined)[]
}

/** One run of a chain around a call: an object handed on, where closures would be made anew for each task. */
class Run<Call, Result> implements Watched {
  readonly states: (Started | undefined)[]
  /** How many observers have been started. */
  started = 0

  constructor(
    readonly chain: readonly Observer[],
    readonly task: Task,
    readonly call: Call,
    /** Calls `call`, and `end` after it; must not throw. */
    readonly core: (run: Run<Call, Result>) => Result,
  ) {
    this.states = new Array(chain.length)
  }
}

// Starts one after the other, each inside the context of those before, and then the core.
function start<Call, Result>(run: Run<Call, Result>): Result {
  const { chain, task, states } = run
  while (run.started < chain.length) {
    const at = run.started++
    const observer = chain[at] as Observer
    if (observer.start === undefined) continue
    let state: Started | undefined
    try {
      state = observer.start(task)
    } catch (error) {
      fault(observer.part, 'start', error)
    }
    entrusted()
    states[at] = state
    if (state?.context !== undefined) return runInContext(state.context, start<Call, Result>, run)
  }
  entrusted()
  return run.core(run)
}

function end({ chain, states, task }: Watched, ending: Ending): void {
  for (let at = chain.length - 1; at >= 0; at--) {
    const observer = chain[at] as Observer
    if (observer.end === undefined) continue
    try {
      const told: unknown = observer.end(task, ending, states[at])
      // Nobody awaits an async end, and its rejection would end the process.
      if (told !== undefined && isPromise(told)) told.catch((error: unknown) => fault(observer.part, 'end', error))
    } catch (error) {
      fault(observer.part, 'end', error)
    }
  }
}

function follow(run: Run<Next, Promise<unknown>>): Promise<unknown> {
  return safely(run.call).then(
    (result) => {
      end(run, succeeded(run.task))
      return result
    },
    (error: unknown) => {
      end(run, failed(run.task, error))
      throw error
    },
  )
}

function tell(run: Run<Attended, void>): void {
  const { task, call } = run
  const threw = (error: unknown): void => {
    end(run, failed(task, error))
    call.threw(error)
  }
  try {
    asAwaited(Promise.resolve(call.call())).then((result) => {
      end(run, succeeded(task))
      call.returned(result)
    }, threw)
  } catch (error) {
    Promise.reject(error).catch(threw)
  }
}

/** A handler may be synchronous, and may throw synchronously; from here on there are only promises. */
export function safely(core: Next): Promise<unknown> {
  try {
    return asAwaited(Promise.resolve(core()))
  } catch (error) {
    return Promise.reject(error)
  }
}

/**
 * Runs observers around a call that may be synchronous, and gives back what it gives. A promise is followed to its end.
 * Other thenables are not: asking them may be what starts them (a query builder), and a second time starts them again.
 */
export function watch<T>(chain: readonly Observer[], task: Task, fn: () => T): T {
  const ran = start(new Run(chain, task, fn, called<T>))
  if ('error' in ran) throw ran.error
  return ran.value
}

type Called<T> = { readonly value: T } | { readonly error: unknown }

function called<T>(run: Run<() => T, Called<T>>): Called<T> {
  let value: T
  try {
    value = run.call()
  } catch (error) {
    end(run, failed(run.task, error))
    return { error }
  }
  if (isPromise(value)) return { value: followed(value, 'spans', listenerOf(run)) as T }
  end(run, succeeded(run.task))
  return { value }
}

function listenerOf(run: Watched): EndListener {
  return {
    returned: () => end(run, succeeded(run.task)),
    threw: (error) => end(run, failed(run.task, error)),
  }
}
