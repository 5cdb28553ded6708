// How a run ended: one classification, used by spans, metrics and logs alike.
import { cut } from './cut.ts'
import { REJECTION, type RejectReason, toRejectReason } from './errors.ts'
import { guard } from './faults.ts'
import { maskUrls } from './mask.ts'
import type { Task } from './task.ts'
import { toldOf } from './told.ts'

export { maskUrls }

/** One word for how a task, step, pipeline or send ended. */
export type Outcome =
  | 'success'
  | 'failure'
  | 'retry'
  | 'deferred'
  | 'rejected'
  | 'cancelled'
  | 'lost'
  | 'timeout'
  | 'skipped'
  | 'restored'

export interface Ending {
  readonly outcome: Outcome
  /** Whether the handler threw; `error` may be any value then, also undefined. */
  readonly threw: boolean
  readonly error: unknown
  /** Wall time of the run in ms, measured once so that span, metric and log agree. */
  readonly durationMs: number
}

/** Outcomes whose span has status ERROR. */
export function isError(outcome: Outcome): boolean {
  return outcome === 'failure' || outcome === 'retry' || outcome === 'timeout' || outcome === 'lost'
}

/** The ending of a run that returned. */
export function succeeded(task: Task): Ending {
  const known = task.ending
  if (known !== undefined && !known.threw) return known
  const ending: Ending = { outcome: 'success', threw: false, error: undefined, durationMs: elapsed(task) }
  task.ending = ending
  return ending
}

/** The ending of a run that threw `error`; judged once per error, so that every middleware says the same. */
export function failed(task: Task, error: unknown): Ending {
  const known = task.ending
  if (known?.threw && known.error === error) return known
  const ending: Ending = { outcome: judge(task, error), threw: true, error, durationMs: elapsed(task) }
  task.ending = ending
  return ending
}

// The order is fixed and documented: control flow, refusal, cancellation, and only then failure.
function judge(task: Task, error: unknown): Outcome {
  // Whatever a judge does with the error, the task's own error goes on: this runs between a throw and its rethrow.
  const judged =
    task.judge === undefined ? 'failure' : (guard('outcome', 'judge', () => task.judge?.(error, task)) ?? 'failure')
  if (judged === 'deferred') return judged
  // A message is refused, not a step: there it is a failure like any other.
  if (task.kind === 'task' && rejectReason(error) !== undefined) return 'rejected'
  if (task.signal?.aborted && judged !== 'timeout') return 'cancelled'
  return judged
}

/** The reason of an error made by `reject()`, also by another copy of the package. */
export function rejectReason(error: unknown): RejectReason | undefined {
  try {
    const reason = (error as { [REJECTION]?: unknown })[REJECTION]
    return reason === undefined ? toldOf(error)?.reason : toRejectReason(reason)
  } catch {
    return undefined // undefined, null, a proxy or a getter that throws
  }
}

function elapsed(task: Task): number {
  return performance.now() - task.clock
}

export interface ErrorInfo {
  /** Class name or code, never the message. */
  readonly type: string
  readonly message: string
  readonly stack: string | undefined
  readonly code: string | undefined
  /** Whether message or stack was cut. */
  readonly truncated: boolean
}

// In bytes. A span holds the message twice (status, exception) and the stack once, within its 64 KiB.
const MAX_MESSAGE = 4_096
const MAX_STACK = 16_384

/** Describes anything that can be thrown (undefined, proxies, throwing getters, 5 MB messages), safely and cut. */
export function describeError(error: unknown): ErrorInfo {
  const isObject = (typeof error === 'object' && error !== null) || typeof error === 'function'
  const message = isObject ? (text(error, 'message') ?? '') : show(error)
  const stack = isObject ? text(error, 'stack') : undefined
  const code = isObject ? text(error, 'code') : undefined
  const short = cut(message, MAX_MESSAGE)
  const shortStack = stack === undefined ? undefined : cut(stack, MAX_STACK)
  return {
    type: errorType(error),
    message: maskUrls(short),
    stack: shortStack === undefined ? undefined : maskUrls(shortStack),
    code: code === undefined ? undefined : cut(code, 64),
    truncated: short !== message || shortStack !== stack,
  }
}

// A class name or an errno-like code; anything else could be a message in disguise and explode the label.
const TYPE = /^[A-Za-z_$][\w$.]{0,63}$/

/** `error.type`: the class name, or the code where the class says nothing (`Error` with `ECONNREFUSED`). */
export function errorType(error: unknown): string {
  if (error === null || (typeof error !== 'object' && typeof error !== 'function')) {
    return error === null ? 'null' : typeof error
  }
  if (rejectReason(error) !== undefined) return 'Rejected'
  const told = toldOf(error)?.type
  if (told !== undefined) return told
  // Most people write `class PaymentError extends Error {}` and leave the name as it is.
  const candidates = [text(error, 'name'), className(error), text(error, 'code')]
  return candidates.find((name) => name !== undefined && name !== 'Error' && TYPE.test(name)) ?? 'Error'
}

function className(error: object): string | undefined {
  try {
    return error.constructor.name
  } catch {
    return undefined
  }
}

function text(error: object, key: 'message' | 'stack' | 'code' | 'name'): string | undefined {
  try {
    const value = (error as Record<string, unknown>)[key]
    return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : undefined
  } catch {
    return undefined
  }
}

function show(value: unknown): string {
  return typeof value === 'symbol' ? value.toString() : String(value)
}
