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
  const { text, isCut } = joined(path.map((at) => (states[at] as StepState).id))
  // Those with the least slack are those that a reader looks for.
  let shown = states.map((_, at) => at)
  if (shown.length > MAX_STEPS) {
    shown.sort((a, b) => (slackMs[a] as number) - (slackMs[b] as number))
    shown = shown.slice(0, MAX_STEPS).sort((a, b) => a - b)
  }
  const of = (read: (state: StepState) => number): number[] => shown.map((at) => round(read(states[at] as StepState)))
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
      'pipeline.analysis.slacks_ms': shown.map((at) => round(slackMs[at] as number)),
    },
  }
}

function joined(ids: readonly string[]): { text: string; isCut: boolean } {
  const text = ids.join(' > ')
  if (text.length <= MAX_PATH) return { text, isCut: false }
  const kept = text.slice(0, text.lastIndexOf(' > ', MAX_PATH))
  return { text: `${kept} > … (${ids.length - kept.split(' > ').length} more)`, isCut: true }
}
