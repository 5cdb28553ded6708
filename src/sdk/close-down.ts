// The end of a started SDK, within bounds: drains workers, sends what is left, and says how that went.
import type { Resource } from '@opentelemetry/resources'
import { endsWithin } from '../kernel/within.ts'
import { closed, drain } from './drain.ts'
import type { CloseOptions } from './face.ts'
import { say } from './lines.ts'
import type { SentLogs } from './logs.ts'
import { limits } from './options.ts'
import type { Delivery } from './otlp.ts'
import type { Problems } from './problems.ts'

interface Shutdown {
  shutdown(): Promise<void>
}

export interface Running {
  readonly provider: Shutdown & { forceFlush(): Promise<void> }
  readonly resource: Resource
  readonly destinations: readonly Delivery[]
  /** Undefined unless log lines are sent. */
  readonly logs: SentLogs | undefined
  readonly unregister: () => void
}

export interface Ending {
  /** Undefined when nothing of ours runs. */
  readonly running: Running | undefined
  readonly problems: Problems
  /** Ends the grace early. */
  readonly hurry: AbortSignal
}

export async function closeDown(options: CloseOptions, { running, problems, hurry }: Ending): Promise<void> {
  const began = performance.now()
  const { workers, last, graceMs, flushMs } = limits(options)
  say('workerDraining', 'info', { workers: workers.length, grace_ms: graceMs })
  // Tasks that were aborted share the time of the last spans, and leave most of it to them.
  const drained = await drain(workers, graceMs, Math.min(flushMs / 4, 1_000), hurry)
  if (drained === 'abandoned') {
    const why = 'a task that ran on, or a broker that does not answer'
    problems.add('drain', `workers had not closed after ${graceMs} ms of grace and the abort of their tasks: ${why}`)
  }
  const left = drained === 'drained' ? flushMs : (flushMs * 3) / 4
  const deadline = performance.now() + left
  // How it ended is a log line too: its time comes after that of the spans.
  const forSpans = running?.logs === undefined ? left : (left * 3) / 4
  const lastOnes = endsWithin(forSpans, Promise.all(last.map(closed)))
  const destinations = running?.destinations ?? []
  const flushed = running === undefined || (await shutDown('span', forSpans, running.provider, destinations, problems))
  running?.unregister()
  await lastOnes
  const lost = failed(destinations)
  const isWell = drained === 'drained' && flushed && lost === 0
  const duration = Math.round(performance.now() - began)
  const fields = { tasks: drained, spans_flushed: flushed, spans_failed: lost, duration_ms: duration }
  say('workerStopped', isWell ? 'info' : 'warn', fields)
  if (running?.logs !== undefined) {
    await shutDown('log line', Math.max(deadline - performance.now(), 0), running.logs, [running.logs], problems)
  }
}

/** Whether all of it was sent, or failed, in time. What holds sockets and timers lets go of them. */
async function shutDown(
  what: string,
  flushMs: number,
  provider: Shutdown,
  to: readonly Delivery[],
  problems: Problems,
): Promise<boolean> {
  const shut = async (): Promise<void> => {
    await provider.shutdown()
    await Promise.all(to.map((destination) => destination.settled()))
  }
  const done = await endsWithin(flushMs, shut())
  if (!done) {
    const targets = to.map((destination) => destination.status().target).join(', ')
    problems.add('close', `not every ${what} reached ${targets} within ${Math.round(flushMs)} ms; the rest is lost`)
  }
  for (const destination of to) destination.release()
  return done
}

/** How many spans or lines have not reached them. */
export const failed = (to: readonly Delivery[]): number =>
  to.reduce((sum, destination) => sum + destination.status().failed, 0)
