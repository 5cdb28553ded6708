// Keeps a copy of the lines that a logger and its children write, as they are written.
import { type Logger, pino } from 'pino'

interface Hooked {
  [pino.symbols.hooksSym]?: { readonly streamWrite?: (line: string) => string } | undefined
}

/** Whether its lines can be seen; what only looks like pino's loggers keeps them to itself. */
export function isTappable(logger: Logger): boolean {
  return (logger as unknown as Hooked)[pino.symbols.hooksSym] !== undefined
}

/** Hands each line to `keep` from now on; gives the function that ends it. Children look the hook up in their parent. */
export function tap(logger: Logger, keep: (line: string) => void): () => void {
  const hooked = logger as unknown as Hooked
  const before = hooked[pino.symbols.hooksSym]
  if (before === undefined) return () => {}
  const tapped = {
    ...before,
    streamWrite(line: string): string {
      const written = before.streamWrite?.(line) ?? line
      keep(written)
      return written
    },
  }
  hooked[pino.symbols.hooksSym] = tapped
  return () => {
    // Another tap may stand on this one; it then goes on to call a `keep` that no longer keeps.
    if (hooked[pino.symbols.hooksSym] === tapped) hooked[pino.symbols.hooksSym] = before
  }
}
