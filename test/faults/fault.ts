// A fault as the suite knows it: a row of the table, its cases, and what a case is given to work with.
import type { TelemetryOptions } from 'taskspan/telemetry'
import type { LogRecorder, MetricRecorder, SpanRecorder } from 'taskspan/testing'
import type { Lane } from './bench/lane.ts'

/** Where a fault is tried. */
export type Place = 'BullMQ' | 'RabbitMQ' | 'no broker'

/**
 * Who is tried. `careless` is instrumentation as it is often written by hand, with nothing contained: the table does not
 * show it, but each row must find it out, or the row proves nothing.
 */
export type ContenderName = 'taskspan' | 'bullmq-otel' | 'instrumentation-amqplib' | 'careless'

/** `short` runs with `npm test`; `long` is what `npm run faults` runs. */
export interface Form {
  readonly name: 'short' | 'long'
  /** How long a case may take, in ms: beyond it something hangs, or a task was delayed. */
  readonly patienceMs: number
}

/** One row of the table. */
export interface Fault {
  readonly name: string
  /** What it means to survive it, in one sentence. */
  readonly promise: string
  readonly places: readonly Place[]
  /** Whom it concerns. Default: everybody who works there. */
  readonly contenders?: readonly ContenderName[]
  /** Whether nothing else may run beside it on the machine: it measures time or memory. */
  readonly alone?: boolean
  /** In the same order and number each time: a process is told only which one to try. */
  cases(form: Form, place: Place): readonly Case[]
}

export interface Case {
  readonly title: string
  /** Whom it concerns, where others have no such part. Default: everybody. */
  readonly contenders?: readonly ContenderName[]
  /** Where it needs more than the form's patience. */
  readonly patienceMs?: number
  /** Resolves when the fault was survived; rejects and says what went wrong. Hanging or ending the process is no survival. */
  run(bench: Bench): Promise<void>
}

/** What a case works with; all of it is cleared away when the case has ended. */
export interface Bench {
  readonly place: Place
  readonly form: Form
  readonly contender: ContenderName
  readonly brokers: BrokerUrls
  /** All that is said while the case runs. An SDK that records is registered when it begins; a case may put its own over it. */
  readonly recorded: { readonly spans: SpanRecorder; readonly metrics: MetricRecorder; readonly logs: LogRecorder }
  /** Opens an empty queue under the contender, which is started now: whatever is broken before is broken at its start. */
  open(options?: TelemetryOptions): Promise<Lane>
  /** The same without any instrumentation: what would have happened. */
  openPlain(): Promise<Lane>
  /** Called when the case has ended, in reverse order. */
  after(clear: () => unknown): void
}

export interface BrokerUrls {
  readonly redis: string
  /** Begins the name of everything that is kept there. */
  readonly prefix: string
  readonly amqp: string
}

/** Up to `count` of a list, spread over all of it. */
export function sample<T>(list: readonly T[], count: number): readonly T[] {
  if (list.length <= count) return list
  return Array.from({ length: count }, (_, n) => list[Math.floor((n * list.length) / count)] as T)
}
