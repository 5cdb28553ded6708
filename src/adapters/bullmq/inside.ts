// The child's side of a sandboxed job whose worker is observed: the parent tells of the task, here its handler runs.
import { type Context, trace } from '@opentelemetry/api'
import type { Job } from 'bullmq'
import { notify, withoutObservers } from '../../kernel/compose.ts'
import { toTask } from '../../kernel/consumer.ts'
import { allowCorrelation } from '../../kernel/correlation.ts'
import { guard } from '../../kernel/faults.ts'
import { type Handover, MARK, readHandover } from '../../kernel/handover.ts'
import { activeContext, runInContext, within } from '../../kernel/scope.ts'
import type { Adapter, Middleware, Next } from '../../kernel/task.ts'

/** Runs a job as `consumer()` does, but leaves what observes tasks to the parent, where it has taken that upon itself. */
export type RunInside = (job: Job, handler: Next, signal: AbortSignal | undefined) => Promise<unknown>

export function inside(adapter: Adapter<Job>, onion: Middleware): (job: Job) => RunInside | undefined {
  const rest = withoutObservers(onion)
  return (job) => {
    const handover = readHandover(job)
    if (handover === undefined) return undefined
    // The handler's own view of its job is BullMQ's, also when it is listed or written down.
    guard('processes', 'handover', () => Object.defineProperty(job, MARK, { enumerable: false }))
    return (_, handler, signal) => {
      allowCorrelation({ correlation: handover.allowed })
      const task = toTask(adapter, job, signal)
      task.correlation = handover.correlation
      task.onion = onion
      notify(onion, { kind: 'inside', task })
      return within(task, () => runInContext(contextOf(handover), () => rest(task, handler)))
    }
  }
}

function contextOf({ span }: Handover): Context {
  const here = activeContext()
  if (span === undefined) return here
  return guard('processes', 'context', () => trace.setSpanContext(here, span)) ?? here
}
