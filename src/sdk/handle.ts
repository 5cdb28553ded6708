// The handle of a started SDK: gets ready, flushes, and closes within bounds.
import type { Resource } from '@opentelemetry/resources'
import { checkOptions } from '../kernel/errors.ts'
import { endsWithin } from '../kernel/within.ts'
import { closed, drain } from './drain.ts'
import type { CloseOptions, Sdk, SdkStatus } from './face.ts'
import { say } from './lines.ts'
import type { SentLogs } from './logs.ts'
import { limits, SIGNAL_OPTIONS, signalsOf } from './options.ts'
import type { Delivery } from './otlp.ts'
import type { Problems } from './problems.ts'
import { type ReadinessOptions, readiness } from './readiness.ts'
import { onSignals } from './signals.ts'

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
  const all: readonly Delivery[] = running?.logs === undefined ? destinations : [...destinations, running.logs]
  const draining = new AbortController()
  const hurry = new AbortController()
  let closing: Promise<void> | undefined
  let isClosed = false
  let unlisten = (): void => {}

  async function flush(): Promise<boolean> {
    if (running === undefined) return true
    const before = failed(all)
    try {
      await Promise.all([running.provider.forceFlush(), running.logs?.flush()])
      const delivered = await Promise.all(all.map((destination) => destination.settled()))
      return delivered.every(Boolean) && failed(all) === before
    } catch {
      return false // counted and said where it happened
    }
  }

  /** Whether all of it was sent, or failed, in time. What holds sockets and timers lets go of them. */
  async function shutDown(
    what: string,
    flushMs: number,
    provider: Shutdown,
    to: readonly Delivery[],
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

  async function end(options: CloseOptions): Promise<void> {
    const began = performance.now()
    const { workers, last, graceMs, flushMs } = limits(options)
    say('workerDraining', 'info', { workers: workers.length, grace_ms: graceMs })
    // Tasks that were aborted share the time of the last spans, and leave most of it to them.
    const drained = await drain(workers, graceMs, Math.min(flushMs / 4, 1_000), hurry.signal)
    if (drained === 'abandoned') {
      const why = 'a task that ran on, or a broker that does not answer'
      problems.add('drain', `workers had not closed after ${graceMs} ms of grace and the abort of their tasks: ${why}`)
    }
    const left = drained === 'drained' ? flushMs : (flushMs * 3) / 4
    const deadline = performance.now() + left
    // How it ended is a log line too: its time comes after that of the spans.
    const forSpans = running?.logs === undefined ? left : (left * 3) / 4
    const lastOnes = endsWithin(forSpans, Promise.all(last.map(closed)))
    const flushed = running === undefined || (await shutDown('span', forSpans, running.provider, destinations))
    running?.unregister()
    await lastOnes
    const lost = failed(destinations)
    const isWell = drained === 'drained' && flushed && lost === 0
    const duration = Math.round(performance.now() - began)
    const fields = { tasks: drained, spans_flushed: flushed, spans_failed: lost, duration_ms: duration }
    say('workerStopped', isWell ? 'info' : 'warn', fields)
    if (running?.logs !== undefined) {
      await shutDown('log line', Math.max(deadline - performance.now(), 0), running.logs, [running.logs])
    }
    isClosed = true
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
      destinations: all.map((destination) => destination.status()),
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

const failed = (to: readonly Delivery[]): number =>
  to.reduce((sum, destination) => sum + destination.status().failed, 0)
