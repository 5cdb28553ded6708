// The one error class: what was wrong, its value, what to do, and a stable code to match on.
import { maskUrls } from './mask.ts'

const HELP = {
  UNKNOWN_OPTION: 'Remove the key or correct its spelling; the message lists the keys that exist.',
  INVALID_OPTION: 'Pass a value of the kind that the message names.',
  NEXT_CALLED_TWICE: 'A middleware may call next() at most once: a second call would run the task twice.',
  NEXT_NOT_AWAITED:
    'Write `return next()` or `await next()`: a middleware that returns early would settle a running task.',
  PROCESSOR_IS_FILE:
    'Give the file to the Worker itself and call `instrument.observe(worker)`; in the file, `export default sandboxed(async (job) => …)` with `sandboxed` from taskspan/processes.',
  METRIC_NAME_TAKEN: 'Another metric with this name is registered. Pass another `registry` or another `prefix`.',
  REJECTED: 'The handler refused this message with `throw reject(reason)`. It is not run again.',
  INVALID_MESSAGE: 'Pass a recorded message of the shape that the adapter reads.',
  INVALID_PIPELINE: 'Correct the step that the message names. Ids match ^[a-z][a-z0-9_]{0,63}$ and stand once.',
  INVALID_INPUT: 'Pass an input that the schema given to `.input()` accepts.',
  INVALID_OUTPUT:
    'With a checkpoint a step returns plain JSON of at most 64 KiB: return a key or a path to larger data.',
  STEP_TIMED_OUT: 'Raise `timeoutMs`, or make the step stop when its `signal` aborts.',
  PIPELINE_FAILED: 'See `cause` for the error of the step, `step` and `attempt` for where it was thrown.',
  PIPELINE_CANCELLED: 'The signal given to `run()` was aborted; see `cause` for its reason.',
  SDK_REGISTERED:
    'Call recordSpans() before anything registers an SDK, or give your own provider the processor of recordSpans({ register: false }).',
  CHECK_FAILED:
    "Make what it asks for reachable, or correct the check; with onCheckFailure: 'wait' ready() tries again until it passes.",
  NOT_LISTENING: 'Pass another `host` or `port`, or set TASKSPAN_HOST or TASKSPAN_PORT; port 0 takes a free one.',
  NOT_RECORDED:
    'The message lists what was recorded. Correct the name, or raise `timeoutMs` where the machine is slow.',
} as const

/** Stable code of a {@link TaskspanError}; match on it, never on the message. */
export type ErrorCode = keyof typeof HELP

/**
 * Every error that taskspan itself throws. Errors of your own handlers are never wrapped in it.
 *
 * @example
 * try { telemetry({ prefx: 'jobs' } as never) } catch (error) {
 *   if (error instanceof TaskspanError) console.error(error.code, error.help)
 * }
 */
export class TaskspanError extends Error {
  override name = 'TaskspanError'
  /** Stable and documented; see {@link ErrorCode}. */
  readonly code: ErrorCode
  /** One sentence: what to do about it. */
  readonly help: string

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(`${message} ${HELP[code]}`, options)
    this.code = code
    this.help = HELP[code]
  }
}

/** Why a handler refused a message; the label `reason` of `taskiq_messages_rejected_total`. */
export type RejectReason = 'malformed' | 'unknown_task' | 'expired' | 'other'

const REASONS: ReadonlySet<unknown> = new Set<RejectReason>(['malformed', 'unknown_task', 'expired', 'other'])

/** What is no known reason counts as `other`: the word is a metric label. */
export function toRejectReason(reason: unknown): RejectReason {
  return REASONS.has(reason) ? (reason as RejectReason) : 'other'
}

/** Marks a rejection for every copy of the package; a `code` or a `reason` the user's own errors may have too. */
export const REJECTION = Symbol.for('taskspan.rejection.1')

/** What `throw reject(…)` throws. */
export class RejectedError extends TaskspanError {
  // BullMQ decides by this name that a job is never retried; AMQP nacks without requeue.
  override name = 'UnrecoverableError'
  readonly reason: RejectReason

  constructor(reason: RejectReason, message?: string) {
    super('REJECTED', message ?? `Message rejected: ${reason}.`)
    this.reason = toRejectReason(reason)
  }

  get [REJECTION](): RejectReason {
    return this.reason
  }
}

/**
 * Makes the error by which a handler refuses a message that no retry can mend: the outcome is `rejected`, it is not run
 * again, and it counts in `taskiq_messages_rejected_total`, not in the failure rate.
 *
 * @param reason `malformed`, `unknown_task`, `expired` or `other`
 * @param message what to tell the reader of the log; never the payload
 * @example
 * if (!schema.safeParse(job.data).success) throw reject('malformed')
 */
export function reject(reason: RejectReason, message?: string): RejectedError {
  return new RejectedError(reason, message)
}

type Check =
  | 'string'
  | 'number'
  | 'boolean'
  | 'function'
  | 'array'
  | 'object'
  | ((value: unknown) => string | undefined)

/**
 * Validates options once, at construction: unknown keys and wrong types throw; `undefined` means unset.
 *
 * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`
 */
export function checkOptions(where: string, options: object, checks: Record<string, Check>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TaskspanError('INVALID_OPTION', `${where}: options must be an object, got ${show(options)}.`)
  }
  for (const [key, value] of Object.entries(options)) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined
    if (check === undefined) {
      const known = Object.keys(checks).join(', ')
      throw new TaskspanError('UNKNOWN_OPTION', `${where}: unknown option '${key}' (${show(value)}). Known: ${known}.`)
    }
    if (value === undefined) continue
    const wrong = typeof check === 'function' ? check(value) : isKind(value, check) ? undefined : `must be ${an(check)}`
    if (wrong) throw new TaskspanError('INVALID_OPTION', `${where}: '${key}' ${wrong}, got ${show(value)}.`)
  }
}

/** A check for {@link checkOptions}: a finite number of at least `least`. */
export const atLeast =
  (least: number) =>
  (value: unknown): string | undefined =>
    typeof value === 'number' && Number.isFinite(value) && value >= least ? undefined : `must be a number >= ${least}`

/** A check for {@link checkOptions}: an array of strings. */
export const strings = (value: unknown): string | undefined =>
  Array.isArray(value) && value.every((item) => typeof item === 'string') ? undefined : 'must be an array of strings'

/** A check for {@link checkOptions}, and for what is no option: something that has these methods. */
export const having =
  (...methods: string[]) =>
  (value: unknown): string | undefined =>
    methods.every((name) => typeof (value as Record<string, unknown> | null | undefined)?.[name] === 'function')
      ? undefined
      : `must have ${methods.join('(), ')}()`

/** Refuses an argument that is not what it must be. @param wrong what a check says of it */
export function refuse(what: string, wrong: string | undefined, value: unknown): void {
  if (wrong !== undefined) throw new TaskspanError('INVALID_OPTION', `${what} ${wrong}, got ${show(value)}.`)
}

function isKind(value: unknown, kind: string): boolean {
  if (kind === 'array') return Array.isArray(value)
  if (kind === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  return typeof value === kind
}

function an(kind: string): string {
  return `${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}`
}

/** A value in a message: short, never throwing. */
export function show(value: unknown): string {
  try {
    const text =
      typeof value === 'string' ? JSON.stringify(value) : typeof value === 'function' ? 'a function' : String(value)
    const masked = maskUrls(text.slice(0, 4_096))
    return masked.length > 80 ? `${masked.slice(0, 77)}...` : masked
  } catch {
    return `a value of type ${typeof value}`
  }
}
