// What the rules take for too much: the defaults, and the values that a user gives instead.
import { secondsOf } from './durations.ts'

type Kind = 'ratio' | 'count' | 'duration' | 'pattern'

interface Threshold {
  readonly kind: Kind
  readonly default: string
  /** In the help of the command. */
  readonly help: string
}

/** By the name of their flag. Values are kept as they are written: `0.05`, `100`, `30s`. */
export const THRESHOLDS = {
  'failure-rate': { kind: 'ratio', default: '0.05', help: 'of the tasks that ended, what part may fail or be lost' },
  'at-least': { kind: 'count', default: '20', help: 'how many must have ended before a rate is judged' },
  duration: { kind: 'duration', default: '30s', help: 'of a task, p99 and average' },
  depth: { kind: 'count', default: '100', help: 'messages waiting, for a warning' },
  'depth-critical': { kind: 'count', default: '1000', help: 'messages waiting; ten times --depth where that is given' },
  wait: { kind: 'duration', default: '10m', help: 'how long the next message may have been ready' },
  'paused-for': { kind: 'duration', default: '1h', help: 'how long a queue may be paused' },
  'pipeline-failure-rate': { kind: 'ratio', default: '0.05', help: 'of the runs of a pipeline' },
  'pipeline-duration': { kind: 'duration', default: '60s', help: 'of a pipeline, p99' },
  'ext-error-rate': { kind: 'ratio', default: '0.05', help: "of the calls to others' services" },
  cpu: { kind: 'ratio', default: '0.8', help: "of one core, or of the container's limit where that is less" },
  memory: { kind: 'ratio', default: '0.85', help: "of the container's limit" },
  'event-loop-lag': { kind: 'duration', default: '500ms', help: 'p99' },
  'broker-memory': { kind: 'ratio', default: '0.8', help: "of the broker's limit" },
  'dead-letter-queues': {
    kind: 'pattern',
    default: '(.*[-_.:/])?(dlq|dead[-_.]?letters?)([-_.:/].*)?',
    help: 'names of queues that should be empty and have no consumers, as a regular expression',
  },
  'forget-after': { kind: 'duration', default: '1d', help: 'how long what has vanished is missed' },
} as const satisfies Record<string, Threshold>

export type ThresholdName = keyof typeof THRESHOLDS

/** Every threshold, and the durations of single tasks. */
export interface Limits extends Readonly<Record<ThresholdName, string>> {
  readonly perTask: Readonly<Record<string, string>>
}

/** @param given as flags give them: checked by {@link problemWith}. */
export function limits(
  given: Readonly<Partial<Record<ThresholdName, string>>> = {},
  perTask: Readonly<Record<string, string>> = {},
): Limits {
  const defaults = Object.fromEntries(Object.entries(THRESHOLDS).map(([name, { default: value }]) => [name, value]))
  // A critical depth below the warning's would be a trap for those who raise only the one.
  const critical = given.depth === undefined ? {} : { 'depth-critical': String(Number(given.depth) * 10) }
  return { ...(defaults as Record<ThresholdName, string>), ...critical, ...given, perTask }
}

/** What is wrong with a value, as the end of a sentence that begins with its flag; undefined where nothing is. */
export function problemWith(name: ThresholdName | 'per-task', value: string): string | undefined {
  const kind = name === 'per-task' ? 'duration' : THRESHOLDS[name].kind
  if (kind === 'duration') return problemWithDuration(value)
  if (kind === 'count') return /^[1-9]\d{0,8}$/.test(value) ? undefined : 'must be a whole number from 1 on'
  if (kind === 'pattern') return problemWithPattern(value)
  const number = /^(0|1|0?\.\d{1,6}|1\.0+)$/.test(value) ? Number(value) : Number.NaN
  return number > 0 && number <= 1 ? undefined : 'must be a part of one such as 0.05'
}

const MAX_DAYS = 3_650

// Prometheus counts in nanoseconds: a rule with some hundred years in it would be refused, and with it the whole file.
function problemWithDuration(value: string): string | undefined {
  const seconds = secondsOf(value)
  if (seconds === undefined) return 'must be a duration such as 30s or 1h30m'
  return seconds > MAX_DAYS * 86_400 ? `must be at most ${MAX_DAYS}d` : undefined
}

// Prometheus reads RE2, which knows neither of these.
function problemWithPattern(value: string): string | undefined {
  const wrong = 'must be a regular expression as Prometheus takes it, without (?= (?! (?< or \\1'
  if (/\(\?[=!<]|\\[1-9k]/.test(value)) return wrong
  try {
    // Flags such as (?i), which it knows, not every Node does.
    new RegExp(value.replace(/\(\?[imsU-]+(?=[:)])/g, '('))
    return undefined
  } catch {
    return wrong
  }
}
