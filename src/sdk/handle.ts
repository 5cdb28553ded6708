// The handle of a started SDK: gets ready, flushes, tells how it stands, and closes once.
import { checkOptions } from '../kernel/errors.ts'
import { closeDown, failed, type Running } from './close-down.ts'
import type { CloseOptions, Sdk, SdkStatus } from './face.ts'
import { SIGNAL_OPTIONS, signalsOf } from './options.ts'
import type { Delivery } from './otlp.ts'
import type { Problems } from './problems.ts'
import { type ReadinessOptions, readiness } from './readiness.ts'
import { onSignals } from './signals.ts'

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

  // Neither a wrong option nor a fault of ours may keep a process from ending.
  const close = (options?: CloseOptions): Promise<void> => {
    draining.abort()
    closing ??= closeDown(options ?? {}, { running, problems, hurry: hurry.signal })
      .catch((error: unknown) => problems.add('close', 'close() failed before it had done everything', error))
      .finally(() => {
        isClosed = true
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
