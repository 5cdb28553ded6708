// What a runner tells of a run in the arguments that it passes: croner its job, node-cron a context.
import type { CronOptions } from 'croner'
import { type Pattern, patternOf } from './pattern.ts'

/** A runner's own word. It beats a copy of its expression, in which a time zone is easily forgotten. */
export interface Said {
  /** The schedule; undefined where croner cannot read it. Asked once per tick. */
  readonly pattern: () => Pattern | undefined
  /** When this run was due, in ms since the epoch. */
  readonly time?: number | undefined
  readonly byHand?: boolean | undefined
}

/** Recognised by shape: neither runner is a dependency of ours. Undefined for arguments of anybody else. */
export function saidBy([first]: readonly unknown[]): Said | undefined {
  if (typeof first !== 'object' || first === null) return undefined
  if (isJob(first)) return { pattern: () => readable(first.getPattern() ?? first.getOnce(), first.options) }
  if (!isContext(first)) return undefined
  const { task, execution, date } = first
  const byHand = execution.reason !== 'scheduled'
  // node-cron wants both day of month and day of week to fit, where croner takes either.
  const pattern = () => readable(task?.getPattern?.(), { timezone: task?.timezone as string, domAndDow: true })
  return { pattern, byHand, time: byHand ? undefined : date.getTime() }
}

function readable(expression: string | Date | null | undefined, options: CronOptions): Pattern | undefined {
  if (expression === null || expression === undefined) return undefined
  // A runner that only looks like croner: with a zone that is no text, croner searches for a time for ever.
  if (typeof (options.timezone ?? '') !== 'string') return undefined
  try {
    return patternOf(expression, options)
  } catch {
    return undefined // node-cron's `22-2` and `L-3` are not croner's: not wrong, only unknown to us
  }
}

interface CronerJob {
  readonly options: CronOptions
  getPattern(): string | undefined
  getOnce(): Date | null
}

interface NodeCronContext {
  readonly date: Date
  readonly execution: { readonly reason: string }
  readonly task?: { readonly timezone?: unknown; getPattern?(): string }
}

function isJob(value: object): value is CronerJob {
  const { options, getPattern, getOnce } = value as Partial<CronerJob>
  return typeof options === 'object' && typeof getPattern === 'function' && typeof getOnce === 'function'
}

function isContext(value: object): value is NodeCronContext {
  const { date, execution } = value as Partial<NodeCronContext>
  return date instanceof Date && typeof execution?.reason === 'string'
}
