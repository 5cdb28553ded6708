// Catches log lines and parses them.
import { Writable } from 'node:stream'
import type { Logger } from 'pino'
import { logger } from '../middleware/logging.ts'
import { type WaitOptions, waiting } from './waiting.ts'

/** A parsed line. `message` is there also for a pino of your own, which calls it `msg`. */
export interface LogLine extends Readonly<Record<string, unknown>> {
  readonly message: string
}

export interface LogRecorder {
  /** As `logger()` of `taskspan/logging`, at level debug: hand it to `telemetry({ logger })`. */
  readonly logger: Logger
  /** For a pino of your own: `pino({ mixin }, logs.destination)`. */
  readonly destination: Writable
  /** The lines in the order in which they were written. */
  readonly lines: readonly LogLine[]
  /** The lines with this message: `task.failed`, … */
  named(message: string): LogLine[]
  /** Resolves when `count` lines with this message have been written; rejects after `timeoutMs`. */
  waitFor(message: string, count: number, options?: WaitOptions): Promise<LogLine[]>
  waitFor(message: string): Promise<LogLine>
  reset(): void
}

/**
 * Catches log lines in tests.
 *
 * @example
 * const logs = recordLogs()
 * const instrument = bullmq(telemetry({ logger: logs.logger }))
 * expect(await logs.waitFor('task.failed')).toMatchObject({ error: { type: 'TimeoutError' } })
 */
export function recordLogs(): LogRecorder {
  const lines: LogLine[] = []
  const written = waiting<LogLine>(
    () => lines,
    (line) => line.message,
  )
  const destination = new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, done) {
      for (const text of String(chunk).split('\n')) if (text !== '') lines.push(parse(text))
      written.check()
      done()
    },
  })

  function waitFor(message: string, count: number, options?: WaitOptions): Promise<LogLine[]>
  function waitFor(message: string): Promise<LogLine>
  async function waitFor(message: string, count?: number, options?: WaitOptions): Promise<LogLine | LogLine[]> {
    const what = `lines with the message '${message}'`
    const found = await written.until(what, (line) => line.message === message, count ?? 1, options)
    return count === undefined ? (found[0] as LogLine) : found
  }
  return {
    logger: logger({ level: 'debug' }, destination),
    destination,
    lines,
    named: (message) => lines.filter((line) => line.message === message),
    waitFor,
    reset() {
      lines.length = 0
    },
  }
}

function parse(text: string): LogLine {
  try {
    const line = JSON.parse(text) as Record<string, unknown>
    return { ...line, message: String(line.message ?? line.msg ?? '') }
  } catch {
    return { message: text } // a line that is no JSON is still a line that was written
  }
}
