// The central types: what runs (Task), what stands around it (Middleware), what turns a message into it (Adapter).
import type { Attributes, Link, Span } from '@opentelemetry/api'
import type { TaskEvent } from './event.ts'
import type { Ending, Outcome } from './outcome.ts'

// Terminology, the same in code, names and docs:
//   message     what a broker delivers: a BullMQ job, an AMQP delivery
//   task        one attempt at handling a message; also a pipeline step, a pipeline run, a send, a call inside them
//   handler     the user's function (BullMQ says processor)
//   middleware  (task, next) => Promise: stands around the handler, in an onion
//   adapter     reads one broker's message into a task, and settles it afterwards
//   carrier     the string map in which trace context travels with a message
//   settle      tell the broker how it ended: ack, nack, or (BullMQ) return and throw
//   outcome     one word for how it ended, the same in span, metric and log
//   attempt     1-based: 1 is the first run

/** Trace context as it travels with a message: W3C `traceparent`, `tracestate`, `baggage`, or what your propagator writes. */
export type Carrier = Record<string, unknown>

/** Values that join telemetry to a request: `{ request_id: 'r-1' }`. */
export type Correlation = Readonly<Record<string, string>>

/** Calls that the helpers of `taskspan/spans` stand around: only observers see them. */
export type CallKind = 'service' | 'ext' | 'sse'
export type TaskKind = 'task' | 'step' | 'pipeline' | 'send' | CallKind
export type TaskType = 'cron' | 'on_demand'

export interface Schedule {
  /** The scheduler's id: BullMQ's scheduler, the cron tick's name, a producer's `schedule_id`. */
  readonly id: string
  /** When this run was due, in ms since the epoch. */
  readonly time?: number | undefined
  /** How late it started, in ms. */
  readonly driftMs?: number | undefined
  /** Time between two runs, in ms, where it is constant. */
  readonly intervalMs?: number | undefined
  /** When the next run is due, in ms since the epoch. */
  readonly nextTime?: number | undefined
}

/** What an adapter reads out of a message. Everything but `name` and `queue` may be unknown. */
export interface TaskFields {
  /** As written by the producer; cut at 128 characters. */
  readonly name: string
  /** Queue, topic or schedule group; for a step or a pipeline: the pipeline. */
  readonly queue: string
  readonly id?: string | undefined
  /** Default `on_demand`. */
  readonly type?: TaskType | undefined
  /** 1-based; default 1. */
  readonly attempt?: number | undefined
  readonly maxAttempts?: number | undefined
  readonly priority?: number | undefined
  /** How long it waited for its first start, in ms, without deliberate delay. */
  readonly waitMs?: number | undefined
  /** How old the message's trace is, in ms, without deliberate delay; unknown age joins the trace. */
  readonly ageMs?: number | undefined
  readonly schedule?: Schedule | undefined
  readonly carrier?: Carrier | undefined
  readonly links?: readonly Link[] | undefined
  /** Attempts that ended without a word (worker killed, lock lost) and that this run is the first to see. */
  readonly lost?: number | undefined
  /** Span attributes under their full names: `messaging.message.id`, … */
  readonly attributes?: Attributes | undefined
  /** Of a step: the ids of those that it needed. */
  readonly needs?: readonly string[] | undefined
  /** Span attributes that take the configured prefix: `{ 'pipeline.name': … }` becomes `taskiq.pipeline.name`. */
  readonly details?: Attributes | undefined
}

/** One thing that runs. Middleware may read all of it. */
export interface Task extends TaskFields {
  readonly kind: TaskKind
  /** `messaging.system`: `bullmq`, `rabbitmq`; undefined when no message is involved. */
  readonly system: string | undefined
  readonly type: TaskType
  readonly attempt: number
  /** The broker's own message (a BullMQ job, an AMQP delivery); a pipeline's or a step's state. Never a step's outputs. */
  readonly message: unknown
  readonly signal: AbortSignal | undefined
  /** What a step, a pipeline or a send runs inside of; undefined for a task, which starts from the root. */
  readonly parent: Task | undefined
  /** When it started, in ms since the epoch. */
  readonly startedAt: number
  /** performance.now() at the start, in ms. */
  readonly clock: number
  /** Set by the first middleware that reads it; see `correlationOf`. */
  correlation: Correlation | undefined
  /** How it ended; set by the first middleware that asks, the same for all. */
  ending: Ending | undefined
  /** Details known only at the end: written by whoever runs the task, read by tracing; prefixed like `details`. */
  endDetails: Attributes | undefined
  /** Span attributes known only at the end, under their full names. */
  endAttributes: Attributes | undefined
  /** The adapter's word on a throw: control flow, another attempt, or the end. */
  readonly judge: ((error: unknown, task: Task) => Outcome) | undefined
  /** Whether a throw is the broker's control flow; unlike `judge` it may be asked of any error, at any time. */
  readonly isControlFlow: ((error: unknown, task: Task) => boolean) | undefined
  /** Tells the broker how far a task is, in percent; undefined where a broker has no such thing. */
  readonly report: ((percent: number, task: Task) => unknown) | undefined
  /** After a throw, set by the adapter's judge: what becomes of the message, in words for the log line. */
  fate: string | undefined
  /** Set by compose: the outermost onion that it runs in, whose observers also see the calls inside of it. */
  onion: Middleware | undefined
  /** Set by tracing: the span that stands for it, for links and events. */
  span: Span | undefined
  /** Set by logging: a logger whose lines carry the fields of whatever runs. */
  log: TaskLog | undefined
}

/** What a handler writes lines with; pino's loggers have this shape. */
export interface TaskLog {
  readonly debug: LogLine
  readonly info: LogLine
  readonly warn: LogLine
  readonly error: LogLine
}

export interface LogLine {
  (message: string): void
  (fields: object, message?: string): void
}

export type Next = () => Promise<unknown>

/**
 * Stands around a task. Call `next()` at most once, and await or return it.
 *
 * @example
 * const timing: Middleware = async (task, next) => {
 *   const result = await next()
 *   console.log(task.name, performance.now() - task.clock)
 *   return result
 * }
 */
export interface Middleware {
  (task: Task, next: Next): Promise<unknown>
  /** Told of what no run can see: a lost attempt, a failure without a run, a broker's event. Must not throw. */
  readonly notice?: ((event: TaskEvent) => void) | undefined
}

/**
 * Turns one broker's messages into tasks: four fields, and only the first two are required.
 *
 * @example
 * const memory: Adapter<MyMessage> = {
 *   system: 'memory',
 *   read: (message) => ({ name: message.type, queue: 'orders', id: message.id, carrier: message.headers }),
 *   judge: () => 'failure',
 *   settle: (message, ending) => (ending.threw ? message.nack() : message.ack()),
 * }
 */
export interface Adapter<Message> {
  /** Semantic conventions' `messaging.system`; undefined where no message is involved (a timer). */
  readonly system: string | undefined
  /** Reads a message. Should not throw; if it does, the fault is counted and the task runs under the name `unknown`. */
  readonly read: (message: Message) => TaskFields
  /** After a throw: `retry`, `deferred` (control flow) or `failure`. Default: `failure`. */
  readonly judge?: ((error: unknown, message: Message, task: Task) => Outcome) | undefined
  /**
   * Whether a throw is control flow, asked also of what a step inside throws. Default: whether `judge` says `deferred`;
   * needed only where judging does something, such as asking the user.
   */
  readonly isControlFlow?: ((error: unknown, message: Message) => boolean) | undefined
  /** Tells the broker how far a task is, in percent. */
  readonly report?: ((percent: number, message: Message) => unknown) | undefined
  /**
   * Called once, after the whole onion has returned. With it the consumer's promise resolves whatever the handler did;
   * without it the result is returned and the handler's own error is rethrown (as BullMQ wants).
   */
  readonly settle?: ((message: Message, ending: Ending, task: Task) => void | Promise<void>) | undefined
}

/** Whether it is a call inside a task, made with `taskspan/spans`. */
export function isCall(task: Task): boolean {
  return task.kind === 'service' || task.kind === 'ext' || task.kind === 'sse'
}
