// The handle of a started SDK: gets ready, flushes, and closes within bounds.
import { checkOptions } from '../kernel/errors.ts'
import { closed, drain } from './drain.ts'
import type { Destination } from './exporters.ts'
import type { CloseOptions, Sdk, SdkStatus } from './face.ts'
import { say } from './lines.ts'
import { limits, SIGNAL_OPTIONS, signalsOf } from './options.ts'
import type { Problems } from './problems.ts'
import { type ReadinessOptions, readiness } from './readiness.ts'
import { onSignals } from './signals.ts'
import { within } from './within.ts'

export interface Running {
  readonly provider: { forceFlush(): Promise<void>; shutdown(): Promise<void> }
  readonly destinations: readonly Destination[]
  readonly unregister: () => void
}

export interface Started {
  readonly state: SdkStatus['state']
  readonly service: string
  readonly problems: Problems
  readonly readiness: ReadinessOptions
  /** Undefined when nothing of ours runs. */
  readonly running?: Running | undefined
}

export function handle({ state, service, problems, running, ...started }: Started): Sdk {
  const destinations = running?.destinations ?? []
  const draining = new AbortController()
  const hurry = new AbortController()
  let closing: Promise<void> | undefined
  let isClosed = false
  let unlisten = (): void => {}

  async function flush(): Promise<boolean> {
    if (running === undefined) return true
    try {
      await running.provider.forceFlush()
      const delivered = await Promise.all(destinations.map((destination) => destination.settled()))
      return delivered.every(Boolean)
    } catch {
      return false // counted and said where it happened
    }
  }

  /** Whether all spans were sent, or failed, in time. */
  async function shutDown(flushMs: number): Promise<boolean> {
    if (running === undefined) return true
    const shut = async (): Promise<void> => {
      await running.provider.shutdown()
      await Promise.all(destinations.map((destination) => destination.settled()))
    }
    const done = await within(flushMs, shut())
    if (!done) {
      const targets = destinations.map((destination) => destination.status().target).join(', ')
      problems.add('close', `not every span reached ${targets} within ${Math.round(flushMs)} ms; the rest is lost`)
    }
    // Lets go of sockets and timers, so that a dead backend does not keep the process alive.
    for (const destination of destinations) destination.release()
    running.unregister()
    return done
  }

  async function end(options: CloseOptions): Promise<void> {
    const began = performance.now()
    const { workers, last, graceMs, flushMs } = limits(options)
    say('workerDraining', 'info', { workers: workers.length, grace_ms: graceMs })
    // Tasks that were aborted share the time of the last spans, and leave most of it to them.
    const drained = await drain(workers, graceMs, Math.min(flushMs / 4, 1_000), hurry.signal)
    if (drained === 'abandoned') {
      problems.add('drain', `tasks ran on after their grace of ${graceMs} ms and after their signals were aborted`)
    }
    const left = drained === 'drained' ? flushMs : (flushMs * 3) / 4
    const lastOnes = within(left, Promise.all(last.map(closed)))
    const flushed = await shutDown(left)
    await lastOnes
    isClosed = true
    const lost = destinations.reduce((sum, destination) => sum + destination.status().failed, 0)
    const isWell = drained === 'drained' && flushed && lost === 0
    const duration = Math.round(performance.now() - began)
    const fields = { tasks: drained, spans_flushed: flushed, spans_failed: lost, duration_ms: duration }
    say('workerStopped', isWell ? 'info' : 'warn', fields)
  }

  // Neither a wrong option nor a fault of ours may keep a process from ending.
  const close = (options?: CloseOptions): Promise<void> => {
    draining.abort()
    closing ??= end(options ?? {}).catch((error: unknown) => {
      isClosed = true
      problems.add('close', 'close() failed before it had done everything', error)
    })
    return closing.finally(unlisten)
  }

  return {
    ready: readiness(started.readiness, draining.signal),
    status: () => ({
      state: isClosed ? 'closed' : draining.signal.aborted ? 'draining' : state,
      service,
      destinations: destinations.map((destination) => destination.status()),
      problems: [...problems.all],
    }),
    flush,
    close,
    closeOnSignal(options = {}) {
      checkOptions('closeOnSignal', options, SIGNAL_OPTIONS)
      unlisten()
      unlisten = onSignals(signalsOf(options), options, close, () => hurry.abort())
      return unlisten
    },
    [Symbol.asyncDispose]: () => close(),
  }
}
