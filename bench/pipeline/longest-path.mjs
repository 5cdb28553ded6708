// The longest chain of steps of a run, kept up as they end: what a loop by hand needs to tell its critical path.

/** @param steps as `{ id, needs }`, in any order; each ends after its needs */
export function longestPath(steps) {
  const until = new Float64Array(steps.length) // the longest chain that ends with this step
  const before = new Int32Array(steps.length).fill(-1)
  let last = 0
  return {
    ended(at, durationMs) {
      let longest = 0
      for (const need of steps[at].needs) {
        if (until[need] > longest) {
          longest = until[need]
          before[at] = need
        }
      }
      until[at] = longest + durationMs
      if (until[at] > until[last]) last = at
    },

    /** For the pipeline's span. */
    attributes() {
      const ids = []
      for (let at = last; at >= 0; at = before[at]) ids.push(steps[at].id)
      return {
        'taskiq.pipeline.critical_path': ids.reverse().join(' > '),
        'taskiq.pipeline.critical_path_ms': Math.round(until[last] * 100) / 100,
      }
    },
  }
}
