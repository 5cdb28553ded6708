// What middlewares are told of besides the runs of tasks: lost attempts, brokers, schedules, notes, other processes.
import type { Attributes } from '@opentelemetry/api'
import type { Report } from './report.ts'
import type { Schedule, Task } from './task.ts'

/** What happens outside any run of a handler, or during one without being its ending. */
export type TaskEvent =
  /** An attempt ended without a word; `final` when the broker gave the task up with it. */
  | { readonly kind: 'lost'; readonly task: Task; readonly error?: unknown; readonly final: boolean }
  /** The broker failed the task without running its handler. */
  | { readonly kind: 'failed'; readonly task: Task; readonly error: unknown }
  /** Another attempt was predicted, but the broker gave the task up: counted as the final failure only now. */
  | { readonly kind: 'gave_up'; readonly task: Task; readonly error: unknown }
  /** Runs of a schedule that did not start, or that started while another still ran. */
  | {
      readonly kind: 'schedule'
      readonly event: 'missed' | 'overlapped'
      readonly schedule: string
      readonly count: number
    }
  /** When a schedule runs next, told when it is made: a schedule that never runs must be seen too. */
  | { readonly kind: 'planned'; readonly schedule: Schedule }
  /** Something about the broker: `consumer_cancelled`, `lock_lost`, `error`, … a fixed word. */
  | {
      readonly kind: 'broker'
      readonly system: string
      readonly queue: string
      readonly event: string
      readonly error?: unknown
    }
  /** One log line of whoever watches: a stuck worker, a sample that is stale. Counted by nobody. */
  | {
      readonly kind: 'line'
      readonly level: 'info' | 'warn' | 'error'
      readonly message: string
      readonly fields: Readonly<Record<string, unknown>>
      readonly error?: unknown
    }
  /** A task is about to run in another process: who has a use for its lines says so. */
  | { readonly kind: 'handing_over'; readonly takes: { lines: boolean } }
  /** A task that another process tells of runs here: its lines go to this one's logger. */
  | { readonly kind: 'inside'; readonly task: Task }
  /** What another process has told of its spans, lines and numbers. */
  | { readonly kind: 'reported'; readonly report: Report }
  /** A message was given up without another attempt: dead-lettered, or dropped where the broker keeps no dead letters. */
  | { readonly kind: 'dead_lettered'; readonly queue: string }
  /** What a call to a service that is not ours has used: tokens, seconds, bytes. */
  | { readonly kind: 'usage'; readonly task: Task; readonly amounts: Readonly<Record<string, number>> }
  /** Something worth knowing about a running task: an event on its span, a log line. `name` without the prefix. */
  | {
      readonly kind: 'note'
      readonly task: Task
      readonly level: 'debug' | 'warn'
      readonly name: string
      /** Details under names that take the configured prefix; a log line drops what stands before the last dot. */
      readonly details: Attributes
      readonly error?: unknown
    }
