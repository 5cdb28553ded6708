// The handle of a started SDK: flushes and closes within bounds, and never rejects.
import type { Destination } from './exporters.ts'
import type { CloseOptions, Sdk, SdkStatus } from './face.ts'
import type { Problems } from './problems.ts'

export interface Running {
  readonly provider: { forceFlush(): Promise<void>; shutdown(): Promise<void> }
  readonly destinations: readonly Destination[]
  readonly unregister: () => void
}

export function handle(state: SdkStatus['state'], service: string, problems: Problems, running?: Running): Sdk {
  let closing: Promise<void> | undefined
  let closed = false

  async function flush(): Promise<boolean> {
    if (running === undefined) return true
    try {
      await running.provider.forceFlush()
      const delivered = await Promise.all(running.destinations.map((destination) => destination.settled()))
      return delivered.every(Boolean)
    } catch {
      return false // counted and said where it happened
    }
  }

  async function shutDown(graceMs: number): Promise<void> {
    if (running === undefined) return
    const done = await within(graceMs, async () => {
      await running.provider.shutdown()
      await Promise.all(running.destinations.map((destination) => destination.settled()))
    })
    if (!done) {
      const targets = running.destinations.map((destination) => destination.status().target).join(', ')
      problems.add('close', `not every span reached ${targets} within ${graceMs} ms; the rest is lost`)
    }
    // Lets go of sockets and timers, so that a dead backend does not keep the process alive.
    for (const destination of running.destinations) destination.release()
    running.unregister()
    closed = true
  }

  // A wrong option must not keep a process from ending, so it counts as none.
  const close = (options?: CloseOptions): Promise<void> => {
    const graceMs = options?.graceMs
    closing ??= shutDown(typeof graceMs === 'number' && graceMs >= 0 ? Math.min(graceMs, MAX_TIMER) : 5_000)
    return closing
  }
  return {
    ready: async () => {},
    status: () => ({
      state: closed ? 'closed' : state,
      service,
      destinations: running?.destinations.map((destination) => destination.status()) ?? [],
      problems: [...problems.all],
    }),
    flush,
    close,
    [Symbol.asyncDispose]: () => close(),
  }
}

const MAX_TIMER = 2 ** 31 - 1

/** Whether it ended in time, well or badly. */
async function within(ms: number, run: () => Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false)
  })
  const ended = Promise.resolve()
    .then(run)
    .then(
      () => true,
      () => true, // what failed was counted and said by its destination
    )
  const inTime = await Promise.race([ended, late])
  clearTimeout(timer)
  return inTime
}
