// What start() takes and gives. Free of the SDK's own types: a type check must pass where it is not installed.
import type { Checks } from '../kernel/checks.ts'

export interface StartOptions {
  /** Name of the system. Default: `TASKSPAN_APP`, else `OTEL_SERVICE_NAME`. */
  readonly app?: string | undefined
  /**
   * What this process does in it: `render`; by custom `scheduler` and `api`. `service.name` is `<app>-<worker>`. Default:
   * `TASKSPAN_WORKER`.
   */
  readonly worker?: string | undefined
  /** `service.version`. Default: the one in `OTEL_RESOURCE_ATTRIBUTES`. */
  readonly version?: string | undefined
  /** `deployment.environment.name`. Default: the one in `OTEL_RESOURCE_ATTRIBUTES`, or `NODE_ENV`. */
  readonly environment?: string | undefined
  /** `otlp` sends log lines to the backend too. Default: what `OTEL_LOGS_EXPORTER` names, else `none`. */
  readonly logs?: 'otlp' | 'none' | undefined
  /** What this process needs before it takes work, run once by `ready()`: `{ redis: () => redis.ping() }`. */
  readonly checks?: Checks | undefined
  /** How long a check may take, in ms. Default 2,000. */
  readonly checkTimeoutMs?: number | undefined
  /** `reject` lets `ready()` reject; `wait` tries again, after 1 s and then ever later, at most 10 s. Default `reject`. */
  readonly onCheckFailure?: 'reject' | 'wait' | undefined
}

export interface DestinationStatus {
  readonly name: 'otlp' | 'console'
  readonly signal: 'traces' | 'logs'
  /** The URL without credentials, or `stderr`. */
  readonly target: string
  /** Spans, or log lines, that were delivered. */
  readonly delivered: number
  /** Those that were given up. */
  readonly failed: number
  readonly lastError: string | undefined
}

export interface SdkStatus {
  /**
   * `running`; `disabled` by `OTEL_SDK_DISABLED`; `foreign`: an SDK was registered before, and was left alone;
   * `failed`: it could not be set up, see `problems`; `draining` from the moment that close() is called; `closed`.
   */
  readonly state: 'running' | 'disabled' | 'foreign' | 'failed' | 'draining' | 'closed'
  /** `service.name`. */
  readonly service: string
  /** Where spans and log lines go, how many arrived, how many did not. */
  readonly destinations: readonly DestinationStatus[]
  /** What went wrong, in words; each was also said once as a process warning. */
  readonly problems: readonly string[]
}

/** A BullMQ worker, an AMQP consumer, a cron job's runner, a server: anything that ends when it is closed. */
export interface Closable {
  /** Takes nothing more, and resolves when what runs has ended. */
  close(): unknown
  /** BullMQ's: aborts the signals of the jobs that run. */
  cancelAllJobs?(reason?: string): unknown
  /** Aborts what runs: an `AbortController` with a `close()` does. */
  abort?(reason?: unknown): unknown
}

export interface CloseOptions {
  /** What takes work: it stops at once, and its tasks get their grace. */
  readonly workers?: readonly Closable[] | undefined
  /** What is closed when the tasks have ended: `watch()`, `serve()`, connections. */
  readonly last?: readonly Closable[] | undefined
  /** How long running tasks may take until their signals are aborted, in ms. Default 20,000. */
  readonly graceMs?: number | undefined
  /** How long everything after that may take, in ms: aborted tasks, `last`, and the last spans. Default 5,000. */
  readonly flushMs?: number | undefined
}

export interface SignalOptions extends CloseOptions {
  /** Default: `SIGTERM` and `SIGINT`. */
  readonly signals?: readonly NodeJS.Signals[] | undefined
}

/** What `start()` gives. No promise but that of `ready()` ever rejects. */
export interface Sdk extends AsyncDisposable {
  /**
   * Runs the checks, once; await it before the first worker.
   *
   * @throws {TaskspanError} `CHECK_FAILED`, with the names of the checks that failed
   */
  ready(): Promise<void>
  status(): SdkStatus
  /** Sends what is buffered. Resolves with whether all of it was delivered, after the exporter's own time-out at most. */
  flush(): Promise<boolean>
  /**
   * Stops the workers, waits for their tasks, aborts those that take too long, sends the last spans and unregisters what
   * start() registered: in `graceMs` + `flushMs` at most. Asked twice, it is the first time's options that hold.
   */
  close(options?: CloseOptions): Promise<void>
  /**
   * Calls `close(options)` on SIGTERM or SIGINT, and ends the process a second later if it has not ended by itself. A
   * second signal ends the grace.
   *
   * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`
   * @returns stops listening
   */
  closeOnSignal(options?: SignalOptions): () => void
}
