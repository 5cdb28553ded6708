// The one sink for our own faults: counted always, said once per kind through OTel's diag, never thrown.
import { isPromise } from 'node:util/types'
import { diag } from '@opentelemetry/api'
import { shared } from './shared.ts'

// Parts and reasons are our own words, so few; the cap only guards against a mistake of ours.
const MAX_KINDS = 200

/**
 * Counts a fault of telemetry (ours, or of the SDK, propagator, logger, registry below us) and reports its kind once.
 * Never throws. The counts appear as `taskiq_telemetry_errors_total{part, reason}`.
 *
 * @param part which part failed: `tracing`, `metrics`, `logging`, `propagation`, `bullmq`, …
 * @param reason what it was doing: a fixed word, never a value
 */
export function fault(part: string, reason: string, error?: unknown): void {
  try {
    let kind = `${part} ${reason}`
    let count = shared.faults.get(kind)
    if (count === undefined && shared.faults.size >= MAX_KINDS) {
      kind = 'other other'
      count = shared.faults.get(kind)
    }
    shared.faults.set(kind, (count ?? 0) + 1)
    // String(error) may itself throw (proxies, throwing getters): the catch below takes that too.
    if (count === undefined) diag.warn(`taskspan: ${kind} failed; the task was not affected.`, describeCause(error))
  } catch {
    // A diag logger that throws must not reach the task, and there is nobody left to tell.
  }
}

/** Adds what another process has counted, under `part reason`; it has said it there. */
export function addFaults(kind: string, count: number): void {
  const known = shared.faults.get(kind)
  const key = known === undefined && shared.faults.size >= MAX_KINDS ? 'other other' : kind
  shared.faults.set(key, (shared.faults.get(key) ?? 0) + count)
}

/** The faults so far, as `part reason` -> count. */
export function faults(): ReadonlyMap<string, number> {
  return shared.faults
}

/** Runs telemetry code that may throw; a throw becomes a counted fault and `undefined`. */
export function guard<T>(part: string, reason: string, run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    fault(part, reason, error)
    return undefined
  }
}

/**
 * What a callback of the user's has answered, where it must answer at once; within `guard`. A promise is no answer, and
 * the rejection of one that nobody awaits would end the process.
 */
export function atOnce<T>(answer: T): T {
  if (!isPromise(answer)) return answer
  answer.catch(() => {})
  throw new TypeError('It must answer at once, not by a promise.')
}

function describeCause(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 500) : String(error).slice(0, 500)
  } catch {
    return 'an error that cannot be described'
  }
}
