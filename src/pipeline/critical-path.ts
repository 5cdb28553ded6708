// The chain of steps that a run could not have been shorter than, and how much time the others had to spare.

export interface Timed {
  /** 0 for what only looked like running. */
  readonly workMs: number
}

export interface CriticalPath {
  /** Indices, in the order in which they ran. */
  readonly path: readonly number[]
  readonly lengthMs: number
  /** By index: `lengthMs` minus the longest chain through the step. */
  readonly slackMs: Float64Array
}

/**
 * The critical path method over measured durations: waits for a place under `concurrency` are not counted, so the path
 * tells what to make faster, not how many workers to add. One pass forward, one back: linear in steps and needs.
 *
 * @param order each step after its needs
 */
export function criticalPath(
  steps: readonly Timed[],
  needs: readonly (readonly number[])[],
  order: readonly number[],
): CriticalPath {
  const durations = new Float64Array(steps.length)
  for (let at = 0; at < steps.length; at++) durations[at] = (steps[at] as Timed).workMs
  const until = new Float64Array(steps.length) // the longest chain that ends with this step
  const from = new Float64Array(steps.length) // the longest chain that begins with it
  const before = new Int32Array(steps.length).fill(-1)
  let last = -1
  for (let n = 0; n < order.length; n++) {
    const at = order[n] as number
    const mine = needs[at] as readonly number[]
    let longest = 0
    for (let m = 0; m < mine.length; m++) {
      const need = mine[m] as number
      const length = until[need] as number
      // Of two chains of equal length, not the one that ends with a step that did nothing.
      if (length > longest || (length === longest && durations[before[at] as number] === 0)) {
        longest = length
        before[at] = need
      }
    }
    until[at] = longest + (durations[at] as number)
    if (last < 0 || (until[at] as number) > (until[last] as number)) last = at
  }
  for (let n = order.length - 1; n >= 0; n--) {
    const at = order[n] as number
    const length = (from[at] as number) + (durations[at] as number)
    from[at] = length
    const mine = needs[at] as readonly number[]
    for (let m = 0; m < mine.length; m++) {
      const need = mine[m] as number
      if (length > (from[need] as number)) from[need] = length
    }
  }

  const lengthMs = last < 0 ? 0 : (until[last] as number)
  const slackMs = new Float64Array(steps.length)
  for (let at = 0; at < steps.length; at++) {
    const through = (until[at] as number) + (from[at] as number) - (durations[at] as number)
    slackMs[at] = Math.max(0, lengthMs - through)
  }
  const path: number[] = []
  if (lengthMs > 0) for (let at = last; at >= 0; at = before[at] as number) path.push(at)
  return { path: path.reverse(), lengthMs, slackMs }
}
