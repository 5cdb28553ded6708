// What the server reads, each through as little as it needs: telemetry, the SDK's handle, watch's handle.
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Task } from '../kernel/task.ts'
import type { Recent } from '../middleware/recent.ts'

/** What `telemetry()` gives. */
export interface TelemetrySource {
  readonly registry: Registry | undefined
  readonly running: ReadonlySet<Task>
  readonly recent: Recent
  readonly loggers: readonly Logger[]
  readonly options: object
}

/** What `start()` gives. `/ready` is 503 while its state is `draining` or `closed`; the rest is shown as it is. */
export interface SdkSource {
  status(): { readonly state: string }
}

/** What `watch()` gives. */
export interface WatchSource {
  /** Its last samples, as they are shown; must not ask a broker. */
  snapshot(): WatchSnapshot
  /** Why this worker should be given no work, in words; undefined when all is well. */
  ready?(): string | undefined
}

export interface WatchSnapshot {
  /** For `/debug/queue`. */
  readonly queues: readonly object[]
  /** For `/debug/schedules`. */
  readonly schedules: readonly object[]
  /** For `/debug/connections`; URLs in it are masked before they are shown. */
  readonly connections: readonly object[]
}

export interface Sources {
  readonly telemetry: TelemetrySource
  readonly sdk: SdkSource | undefined
  readonly watch: WatchSource | undefined
}

/** Whether this process takes no more work. */
export function isDraining({ sdk }: Sources): boolean {
  const state = sdk?.status().state
  return state === 'draining' || state === 'closed'
}
