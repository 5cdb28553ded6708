// What every copy of the package in one process shares: the current scope, the faults, the correlation keys.
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Identity } from './identity.ts'
import type { Scope } from './scope.ts'
import type { Middleware } from './task.ts'

interface Shared {
  /** Where OpenTelemetry has no context manager, which would carry it. */
  readonly scope: AsyncLocalStorage<Scope>
  /** Count per `part reason`, bounded by the sink. */
  readonly faults: Map<string, number>
  /** Keys that some telemetry of this process allows to travel; the standalone `inject()` reads it. */
  readonly correlation: Set<string>
  /** Who this process is, once `start()` has said so. */
  identity?: Identity | undefined
  /** Those who keep the spans that end in this process; an SDK of ours tells them. */
  readonly ended: Set<(span: object) => void>
  /** Those who send the log lines of this process on, as they are written; `start()` when it is asked to. */
  readonly lines: Set<(line: string) => void>
  /** The last `telemetry()` of this process: it sees the calls that are made outside of any task. */
  telemetry?: Middleware | undefined
}

// A hot reload, or two versions installed side by side, must still see one current task.
const KEY = Symbol.for('taskspan.shared.1')
const home = globalThis as { [KEY]?: Shared }

home[KEY] ??= {
  scope: new AsyncLocalStorage(),
  faults: new Map(),
  correlation: new Set(),
  ended: new Set(),
  lines: new Set(),
}

export const shared: Shared = home[KEY]
