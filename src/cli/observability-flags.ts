// The flags of `taskspan observability`.
import { parseArgs } from 'node:util'
import type { Chosen } from '../observability/settings.ts'
import { THRESHOLDS } from '../observability/thresholds.ts'
import { UsageError } from './usage.ts'

export interface ObservabilityFlags {
  readonly out: string
  readonly help: boolean
  readonly chosen: Chosen
}

const one = { type: 'string' } as const
const many = { type: 'string', multiple: true } as const
const OWN = {
  out: one,
  prefix: one,
  runbooks: one,
  'per-task': many,
  without: many,
  help: { type: 'boolean' },
} as const
const LIMITS = Object.fromEntries(Object.keys(THRESHOLDS).map((name) => [name, one]))

/** @throws {UsageError} for a flag that is unknown or has no value; values are checked with those that were kept */
export function readObservabilityFlags(args: readonly string[]): ObservabilityFlags {
  const given = parse(args)
  if (given.out === '') throw new UsageError("--out must be a folder, got ''.", OBSERVABILITY_USAGE)
  const { out = 'ops', help = false, prefix, runbooks, 'per-task': perTask = [], without = [], ...rest } = given
  return { out, help, chosen: { prefix, runbooks, thresholds: rest as Record<string, string>, perTask, without } }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: { ...LIMITS, ...OWN }, strict: true, allowPositionals: false }).values
  } catch (error) {
    const { message } = error as Error
    throw new UsageError(`${message.split('. ')[0]}.`.replace(/\.\.$/, '.'), OBSERVABILITY_USAGE)
  }
}

const LIMIT_LINES = Object.entries(THRESHOLDS).map(
  ([name, { default: value, help }]) =>
    `  ${`--${name}`.padEnd(25)}${name === 'dead-letter-queues' ? '' : `${value}, `}${help}`,
)

export const OBSERVABILITY_USAGE = `taskspan observability: alerting rules with your thresholds, dashboards, runbooks, and the stack to look at them

  npx taskspan observability --out ops --failure-rate 0.05 --depth 100 --per-task render_clip=60s

Run it again as often as you like: your settings are kept in ops/taskspan.json, and flags add to them. A file that you
changed or deleted stays as it is; where it would have become another one, that is written beside it as <file>.new.

  --out <directory>        ops
  --per-task <task>=<time> the duration of one task instead of --duration, as often as needed
  --without <alert>        leaves an alert out, as often as needed; taskspan.json brings it back
  --prefix <prefix>        taskiq, where telemetry({ prefix }) says otherwise
  --runbooks <url>         what stands before runbook names in runbook_url; 'runbooks', which is their folder in --out,
                           until you publish them somewhere

Thresholds, with their defaults. Durations are written 500ms, 30s, 10m, 1h30m; 'default' takes a setting back.

${LIMIT_LINES.join('\n')}`
