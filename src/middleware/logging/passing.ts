// Passes each line on as it is written, to those in this process who send lines elsewhere; none do until start() is asked to.
import { type Logger, pino } from 'pino'
import { guard } from '../../kernel/faults.ts'
import { shared } from '../../kernel/shared.ts'

type StreamWrite = (line: string) => string

interface Hooked {
  [pino.symbols.hooksSym]?: { readonly streamWrite?: StreamWrite } | undefined
}

const ours = new WeakSet<StreamWrite>()

/** For pino's option `hooks.streamWrite`. @param before the user's own, which may change what is written */
export function passing(before?: StreamWrite): StreamWrite {
  const streamWrite: StreamWrite = (line) => {
    const written = before === undefined ? line : before(line)
    for (const take of shared.lines) guard('logging', 'pass_on', () => take(written))
    return written
  }
  ours.add(streamWrite)
  return streamWrite
}

/** For a logger that another made: its child that we write with, and that child's children; never the logger itself. */
export function passOn(child: Logger): void {
  const hooked = child as unknown as Hooked
  const hooks = hooked[pino.symbols.hooksSym]
  // What only looks like pino's loggers keeps its lines to itself.
  if (hooks === undefined || (hooks.streamWrite !== undefined && ours.has(hooks.streamWrite))) return
  hooked[pino.symbols.hooksSym] = { ...hooks, streamWrite: passing(hooks.streamWrite) }
}
