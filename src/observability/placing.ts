// What becomes of a file that is there already: one that the user changed or deleted stays as it is.
import { createHash } from 'node:crypto'

/** What to do with one file. */
export type Placing =
  /** Not there before. */
  | 'write'
  /** There as we wrote it, and different now. */
  | 'update'
  /** There as it should be. */
  | 'same'
  /** The user's own, and we have nothing new to say. */
  | 'keep'
  /** The user's own: the new one goes beside it. */
  | 'beside'
  /** The user deleted it. */
  | 'deleted'

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

/**
 * @param present what is there
 * @param next what should be there
 * @param written the hash of what we wrote last
 */
export function placing(present: string | undefined, next: string, written: string | undefined): Placing {
  if (present === undefined) return written === undefined ? 'write' : 'deleted'
  if (present === next) return 'same'
  if (hashOf(present) === written) return 'update'
  return hashOf(next) === written ? 'keep' : 'beside'
}
