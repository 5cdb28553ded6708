// Waiting that ends: for something, for at most so long, and no longer than somebody wants to know.

/** Node fires a timer that is set for longer at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/** Whether it ended in time, well or badly. What failed is for its owner to tell. */
export async function endsWithin(ms: number, work: Promise<unknown>, hurry?: AbortSignal): Promise<boolean> {
  const over = new AbortController()
  const ended = work.then(
    () => true,
    () => true,
  )
  try {
    return await Promise.race([ended, pause(ms, hurry, over.signal).then(() => false)])
  } finally {
    over.abort()
  }
}

/** Lets time pass, or less of it when one of the signals says so. It keeps the process alive. */
export function pause(ms: number, ...until: (AbortSignal | undefined)[]): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      for (const signal of until) signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, Math.min(ms, MAX_TIMER_MS))
    for (const signal of until) signal?.addEventListener('abort', end, { once: true })
    if (until.some((signal) => signal?.aborted)) end()
  })
}
