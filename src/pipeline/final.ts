// The steps that run at the end, whatever happened: one after the other, and none of them is stopped by the abort.
import { setMaxListeners } from 'node:events'
import { failed, succeeded } from '../kernel/outcome.ts'
import { type Attempt, body, isRepeated, openAttempt, perform } from './attempt.ts'
import type { Step } from './graph.ts'
import type { PipelineReport, StepState } from './report.ts'
import { retrying } from './retries.ts'
import type { Run } from './run.ts'

/**
 * Runs all final steps, also after one of them has failed.
 *
 * @returns what the run is to reject with if nothing failed before
 */
export async function runFinalSteps(run: Run, outcome: PipelineReport['outcome'], error: unknown): Promise<unknown> {
  let failure: unknown
  for (const at of run.graph.finals) {
    const step = run.graph.steps[at] as Step
    try {
      await runFinalStep(run, at, step, { outcome, error })
    } catch (thrown) {
      const attempt = (run.states[at] as StepState).attempt
      const first = { step: step.id, attempt, error: thrown }
      run.failures.push(first)
      failure ??= run.failureOf(first)
    }
    run.progress?.advance()
  }
  return failure
}

async function runFinalStep(run: Run, at: number, step: Step, more: object): Promise<void> {
  const state = run.states[at] as StepState
  const { signal } = new AbortController() // cleaning up must not be cancelled by what it cleans up after
  setMaxListeners(0, signal) // as many pipelines and calls may run inside of the step
  state.readyAt = performance.now()
  let attempt: Attempt | undefined
  const once = (n: number): Promise<unknown> => {
    const current = openAttempt(run, at, n, signal)
    attempt = current
    return perform(current, (each) => body(each, more))
  }
  const again = (error: unknown): boolean => isRepeated(run, (attempt as Attempt).task, error)
  try {
    await (step.options.retries ? retrying(step.options, signal, once, again) : once(1))
    state.status = succeeded((attempt as Attempt).task).outcome === 'success' ? 'success' : 'skipped'
  } catch (error) {
    const { outcome } = failed((attempt as Attempt).task, error)
    state.status = outcome === 'timeout' || outcome === 'cancelled' ? outcome : 'failure'
    throw error
  } finally {
    state.endedAt = performance.now()
  }
}
