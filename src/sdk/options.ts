// What start(), close() and closeOnSignal() take: checked where a mistake may throw, and repaired where it must not.
import { constants } from 'node:os'
import { checksWrong } from '../kernel/checks.ts'
import { atLeast } from '../kernel/errors.ts'
import type { Closable, CloseOptions, SignalOptions } from './face.ts'

const name = (value: unknown): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? undefined : 'must be a string that is not empty'

export const START_OPTIONS = {
  ...{ app: name, worker: name, version: name, environment: name },
  logs: (value: unknown) => (value === 'otlp' || value === 'none' ? undefined : "must be 'otlp' or 'none'"),
  checks: checksWrong,
  checkTimeoutMs: atLeast(1),
  onCheckFailure: (value: unknown) =>
    value === 'reject' || value === 'wait' ? undefined : "must be 'reject' or 'wait'",
} as const

const isClosable = (value: unknown): value is Closable =>
  typeof (value as Partial<Closable> | null | undefined)?.close === 'function'

const closables = (value: unknown): string | undefined =>
  Array.isArray(value) && value.every(isClosable) ? undefined : 'must be an array of things with close()'

const CLOSE_OPTIONS = { workers: closables, last: closables, graceMs: atLeast(0), flushMs: atLeast(0) } as const

export const SIGNAL_OPTIONS = {
  ...CLOSE_OPTIONS,
  signals: (value: unknown) =>
    Array.isArray(value) && value.length > 0 && value.every(isHeard)
      ? undefined
      : "must be an array of names of signals that a process can hear, such as 'SIGTERM'",
} as const

const UNHEARD: ReadonlySet<unknown> = new Set(['SIGKILL', 'SIGSTOP'])

function isHeard(signal: unknown): boolean {
  return typeof signal === 'string' && Object.hasOwn(constants.signals, signal) && !UNHEARD.has(signal)
}

export const signalsOf = ({ signals }: SignalOptions): readonly NodeJS.Signals[] => signals ?? ['SIGTERM', 'SIGINT']

/** For close(), which must never throw: what is wrong counts as not given. */
export function limits(options: CloseOptions): Required<{ [K in keyof CloseOptions]: NonNullable<CloseOptions[K]> }> {
  const ms = (value: unknown, otherwise: number): number =>
    typeof value === 'number' && value >= 0 ? value : otherwise
  const list = (value: unknown): readonly Closable[] => (Array.isArray(value) ? value.filter(isClosable) : [])
  return {
    workers: list(options.workers),
    last: list(options.last),
    graceMs: ms(options.graceMs, 20_000),
    flushMs: ms(options.flushMs, 5_000),
  }
}
