// Rounds what was measured, for those who read it.

/** Hundredths of a ms: enough for a reader, and short in a span. */
export function round(ms: number): number {
  return Math.round(ms * 100) / 100
}
