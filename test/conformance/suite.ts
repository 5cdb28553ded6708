// One suite that every adapter passes: `conformance(harness)` in a test file of its own.
import type { Harness } from './harness.ts'
import { benchOf } from './suite/bench.ts'
import { endings } from './suite/endings.ts'
import { harmless } from './suite/harmless.ts'
import { origin } from './suite/origin.ts'
import { passing } from './suite/passing.ts'
import { span } from './suite/span.ts'

export function conformance(harness: Harness): void {
  const bench = benchOf(harness)
  for (const part of [endings, span, passing, origin, harmless]) part(bench)
}
