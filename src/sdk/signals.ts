// Signals, when they are asked for: the first closes, a later one ends the grace, and then the process may end.
import type { SignalOptions } from './face.ts'

/** What still keeps the process alive after close() is not ours to close, and gets no longer than this. */
const LINGER_MS = 1_000
/** A terminal and a runner such as npm may each pass on one Ctrl-C: that is not impatience. */
const ECHO_MS = 500

/** @returns stops listening */
export function onSignals(
  signals: readonly NodeJS.Signals[],
  options: SignalOptions,
  close: (options: SignalOptions) => Promise<void>,
  hurry: () => void,
): () => void {
  let since: number | undefined
  const stop = (): void => {
    for (const signal of signals) process.off(signal, heard)
  }
  function heard(): void {
    if (since === undefined) {
      since = performance.now()
      // Listened to until the end: without a listener a second signal would kill the process in the middle of its spans.
      void close(options).then(() => setTimeout(() => process.exit(), LINGER_MS).unref())
    } else if (performance.now() - since > ECHO_MS) hurry()
  }
  for (const signal of signals) process.on(signal, heard)
  return stop
}
