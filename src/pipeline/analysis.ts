// What a run says of itself at its end: its critical path, and each step's duration, wait and slack.
import type { Attributes } from '@opentelemetry/api'
import { notify } from '../kernel/compose.ts'
import { round } from '../kernel/round.ts'
import type { Middleware, Task } from '../kernel/task.ts'
import { criticalPath } from './critical-path.ts'
import type { Reported, StepState } from './report.ts'

const MAX_STEPS = 100
const MAX_PATH = 4_000

/**
 * For the end of the pipeline's span and the metric of the critical path; and for the event `pipeline.analysis`, as lists of
 * equal length, so that 100 steps stay four attributes.
 *
 * @param more what else stands at the end of the span
 */
export function analyse(
  onion: Middleware,
  task: Task,
  { states, graph }: Pick<Reported, 'states' | 'graph'>,
  more?: Attributes,
): void {
  const { path, lengthMs, slackMs } = criticalPath(states, graph.needs, graph.order)
  const { text, isCut } = joined(path, states)
  const shown = withLeast(slackMs)
  const of = (read: (state: StepState) => number): number[] => list(shown, (at) => read(states[at] as StepState))
  const details = {
    'pipeline.analysis.steps': shown.map((at) => (states[at] as StepState).id),
    'pipeline.analysis.durations_ms': of((state) => state.durationMs),
    'pipeline.analysis.waits_ms': of((state) => state.waitMs),
    'pipeline.analysis.slacks_ms': list(shown, (at) => slackMs[at] as number),
  }
  task.endDetails = {
    'pipeline.critical_path': text,
    'pipeline.critical_path_ms': round(lengthMs),
    ...(isCut && { truncated: true }),
    ...more,
  }
  notify(onion, { kind: 'note', task, level: 'debug', name: 'pipeline.analysis', details })
}

/** Those with the least slack, in their order: they are what a reader looks for. */
function withLeast(slackMs: Float64Array): number[] {
  const least = leastOf(slackMs)
  const limit = least.at(-1) as number
  let equal = least.length - least.indexOf(limit) // as many steps may have exactly as much, not all are shown
  const shown: number[] = []
  for (let at = 0; at < slackMs.length; at++) {
    const slack = slackMs[at] as number
    if (slack < limit || (slack === limit && equal-- > 0)) shown.push(at)
  }
  return shown
}

// A sorted list of the least so far: to sort all costs each step of a large graph.
function leastOf(values: Float64Array): Float64Array {
  const least = values.slice(0, MAX_STEPS).sort()
  for (let at = MAX_STEPS; at < values.length; at++) {
    const value = values[at] as number
    let place = MAX_STEPS - 1
    if (value >= (least[place] as number)) continue
    for (; place > 0 && (least[place - 1] as number) > value; place--) least[place] = least[place - 1] as number
    least[place] = value
  }
  return least
}

// V8 keeps arrays of doubles in another form than those of strings. The SDK's check of attributes, which has seen each
// step's list of names, slows down for every span once it meets both; a list that began with a string stays of their form.
function list(shown: readonly number[], value: (at: number) => number): number[] {
  const found: (number | string)[] = ['']
  found.length = 0
  for (const at of shown) found.push(round(value(at)))
  return found as number[]
}

function joined(path: readonly number[], states: readonly StepState[]): { text: string; isCut: boolean } {
  let text = ''
  for (let n = 0; n < path.length; n++) {
    const { id } = states[path[n] as number] as StepState
    if (text.length + id.length > MAX_PATH) return { text: `${text} > … (${path.length - n} more)`, isCut: true }
    text += n === 0 ? id : ` > ${id}`
  }
  return { text, isCut: false }
}
