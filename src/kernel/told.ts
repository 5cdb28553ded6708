// What another process has told of an error: a copy that crossed a process boundary has lost its class.
import type { RejectReason } from './errors.ts'

export interface Told {
  /** As `error.type`: class name or code. */
  readonly type?: string | undefined
  readonly reason?: RejectReason | undefined
}

// Beside the error, not on it: the error object itself belongs to the user and to the broker's client.
const told = new WeakMap<object, Told>()

/** Remembers what is known of the error behind a copy. */
export function tell(copy: unknown, what: Told): void {
  if (typeof copy === 'object' && copy !== null) told.set(copy, what)
}

export function toldOf(error: unknown): Told | undefined {
  return typeof error === 'object' && error !== null ? told.get(error) : undefined
}
