// Lines that another process has written, through this one's logger; and the other end: lines that go there instead.
import { type Logger, pino } from 'pino'
import { guard } from '../../kernel/faults.ts'

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
type Level = (typeof LEVELS)[number]
const NAMES: Readonly<Record<string, Level>> = { warning: 'warn', critical: 'fatal' }

/** Writes a line again; envelope and time are this process's own, and its level decides whether it is written. */
export function writeLine(logger: Logger, line: Readonly<Record<string, unknown>>): void {
  guard('logging', 'reported', () => {
    const { level, message, msg, time: _time, timestamp: _at, pid: _pid, hostname: _host, ...more } = line
    const { service: _service, environment: _environment, ...fields } = more
    const at = levelOf(level)
    if (logger.isLevelEnabled(at)) logger[at](fields, String(message ?? msg ?? ''))
  })
}

/** Hands each line of a logger and its children to `take` from now on, instead of writing it. */
export function redirect(logger: Logger, take: (line: string) => void): void {
  const isPinos = pino.symbols.streamSym in logger
  if (isPinos) Object.assign(logger, { [pino.symbols.streamSym]: { write: take } })
}

// As written by our envelope, or by a pino of the user's.
function levelOf(level: unknown): Level {
  if (typeof level === 'number') return LEVELS[Math.round(level / 10) - 1] ?? 'info'
  const name = String(level)
  return NAMES[name] ?? LEVELS.find((each) => each === name) ?? 'info'
}
