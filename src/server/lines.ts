// /debug/logs and /debug/log-level: the last lines, and a level that goes back by itself.
import type { Logger } from 'pino'
import { Refusal } from './answer.ts'
import { type Desk, invalid, needed, type Route, wholeNumber } from './route.ts'

const NO_LOGS = 'Remove `logging: false` from telemetry(), or give it a pino logger.'
const MAX_LINES = 1_000
const MAX_TTL_S = 3_600
const DEFAULT_TTL_S = 600

// The envelope's words, and pino's names and numbers for them.
const LEVELS = [
  { word: 'debug', pino: 'debug', number: 20 },
  { word: 'info', pino: 'info', number: 30 },
  { word: 'warning', pino: 'warn', number: 40 },
  { word: 'error', pino: 'error', number: 50 },
  { word: 'critical', pino: 'fatal', number: 60 },
] as const

type Level = (typeof LEVELS)[number]

export function logs({ sources, writer }: Desk): Route {
  return {
    answer({ query }) {
      const written = needed(sources.telemetry.recent.lines(), 'log lines', NO_LOGS)
      const count = wholeNumber(query, 'lines', 100, MAX_LINES)
      const least = levelOf(query.get('level') ?? 'debug').number
      const lines = written.map(parse).filter((line) => numberOf(line.level) >= least)
      return writer.json({ lines: lines.slice(-count) })
    },
  }
}

/** Sets the level of telemetry's loggers for a time; `close()` sets it back at once. */
export function logLevel({ sources, writer }: Desk): Route & { close(): void } {
  let before: { readonly logger: Logger; readonly level: string }[] | undefined
  let timer: NodeJS.Timeout | undefined

  function close(): void {
    clearTimeout(timer)
    for (const { logger, level } of before ?? []) logger.level = level
    before = undefined
  }
  return {
    isWrite: true,
    async answer(asked) {
      const { loggers } = sources.telemetry
      const [first] = loggers
      needed(first, 'logger', NO_LOGS)
      const { level, ttl_s: ttl = DEFAULT_TTL_S } = objectOf(await asked.json())
      const wanted = levelOf(level)
      if (typeof ttl !== 'number' || !(ttl > 0 && ttl <= MAX_TTL_S)) {
        throw invalid(`'ttl_s' must be a number of seconds, above 0 and at most ${MAX_TTL_S}.`)
      }
      // The second of two keeps what stood before the first.
      const original = before ?? loggers.map((logger) => ({ logger, level: logger.level }))
      try {
        for (const logger of loggers) logger.level = wanted.pino
      } catch {
        for (const { logger, level } of original) logger.level = level
        throw new Refusal(409, 'level_unknown', `This logger has no level '${wanted.pino}'.`, 'Its levels are its own.')
      }
      before = original
      clearTimeout(timer)
      timer = setTimeout(close, ttl * 1_000).unref()
      const previous = LEVELS.find(({ pino }) => pino === original[0]?.level)?.word ?? original[0]?.level
      const reverts = new Date(Date.now() + ttl * 1_000).toISOString()
      return writer.json({ level: wanted.word, previous, reverts_at: reverts })
    },
    close,
  }
}

function levelOf(name: unknown): Level {
  const found = LEVELS.find(({ word, pino }) => word === name || pino === name)
  if (found === undefined) throw invalid(`'level' must be ${LEVELS.map(({ word }) => word).join(', ')}.`)
  return found
}

// A pino of the user's writes numbers.
function numberOf(level: unknown): number {
  if (typeof level === 'number') return level
  return LEVELS.find(({ word, pino }) => word === level || pino === level)?.number ?? 0
}

function parse(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return { message: line }
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('The body must be a JSON object.')
  return value as Record<string, unknown>
}
