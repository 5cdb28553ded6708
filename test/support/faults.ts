// What the fault sink has counted since a moment in a test; the counts belong to the process.
import { faults } from '../../src/kernel/faults.ts'

export function faultsOf(part: string, reason: string): () => number {
  const now = (): number => faults().get(`${part} ${reason}`) ?? 0
  const before = now()
  return () => now() - before
}

/** All kinds that were counted since, as `part reason` -> count. */
export function faultsSince(): () => Record<string, number> {
  const before = new Map(faults())
  return () =>
    Object.fromEntries(
      [...faults()].map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)]).filter(([, count]) => count !== 0),
    )
}
