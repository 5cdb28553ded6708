// What a run says of itself at its end: its critical path, and each step's duration, wait and slack.
import type { Attributes } from '@opentelemetry/api'
import { criticalPath } from './critical-path.ts'
import { type Reported, round, type StepState } from './report.ts'

const MAX_STEPS = 100
const MAX_PATH = 4_000

export interface Analysis {
  /** For the end of the pipeline's span, and the metric of the critical path. */
  readonly endDetails: Attributes
  /** For the event `pipeline.analysis`: lists of equal length, so that 100 steps stay four attributes. */
  readonly details: Attributes
}

export function analyse({ states, graph }: Pick<Reported, 'states' | 'graph'>): Analysis {
  const { path, lengthMs, slackMs } = criticalPath(states, graph.needs, graph.order)
  const { text, isCut } = joined(path, states)
  // Those with the least slack are those that a reader looks for.
  const limit = states.length > MAX_STEPS ? (slackMs.slice().sort()[MAX_STEPS - 1] as number) : Number.POSITIVE_INFINITY
  const shown: number[] = []
  for (let at = 0; at < states.length && shown.length < MAX_STEPS; at++) {
    if ((slackMs[at] as number) <= limit) shown.push(at)
  }
  const of = (read: (state: StepState) => number): number[] => list(shown, (at) => read(states[at] as StepState))
  return {
    endDetails: {
      'pipeline.critical_path': text,
      'pipeline.critical_path_ms': round(lengthMs),
      ...(isCut && { truncated: true }),
    },
    details: {
      'pipeline.analysis.steps': shown.map((at) => (states[at] as StepState).id),
      'pipeline.analysis.durations_ms': of((state) => state.durationMs),
      'pipeline.analysis.waits_ms': of((state) => state.waitMs),
      'pipeline.analysis.slacks_ms': list(shown, (at) => slackMs[at] as number),
    },
  }
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
