// What a parent process gives along with a task that a child process runs for it, and how the child reads it.
import { context, type SpanContext, trace } from '@opentelemetry/api'
import { guard } from './faults.ts'
import { shared } from './shared.ts'
import type { Correlation, Task } from './task.ts'

/** The key under which it stands on a job, and a message between the processes is known. */
export const MARK = 'taskspan'
export const VERSION_1 = 1

/** The parent tells of the task itself; the child runs its handler inside of this. */
export interface Handover {
  readonly v: typeof VERSION_1
  /** Which run of the parent's this is. */
  readonly run: number
  /** The task's span; undefined where nobody traces, and nobody takes spans. */
  readonly span?: SpanIds | undefined
  readonly correlation: Correlation
  /** Whether the parent writes the child's lines; else the child does. */
  readonly takesLines: boolean
  /** The keys that may travel with messages. */
  readonly allowed: readonly string[]
}

export interface SpanIds {
  readonly traceId: string
  readonly spanId: string
  readonly traceFlags: number
}

const MAX_KEYS = 20
const MAX_TEXT = 1_024

/** Of the task that runs here, with its span active. */
export function handover(run: number, task: Task | undefined, takesLines: boolean): Handover {
  const active = guard('processes', 'context', () => trace.getSpanContext(context.active()))
  const span = active && { traceId: active.traceId, spanId: active.spanId, traceFlags: active.traceFlags }
  const { correlation = {} } = task ?? {}
  return { v: VERSION_1, run, span, correlation, takesLines, allowed: [...shared.correlation] }
}

/** The handover on a job, checked; undefined where no parent has taken the task upon itself. */
export function readHandover(job: unknown): Handover | undefined {
  return guard('processes', 'handover', () => {
    const given = (job as Record<string, unknown> | null)?.[MARK] as Partial<Handover> | undefined
    if (typeof given !== 'object' || given === null || given.v !== VERSION_1) return undefined
    return {
      v: VERSION_1,
      run: Number(given.run),
      span: readSpanIds(given.span),
      correlation: Object.fromEntries(strings(Object.entries(given.correlation ?? {}))),
      takesLines: given.takesLines === true,
      allowed: Array.isArray(given.allowed) ? given.allowed.filter(isText).slice(0, MAX_KEYS) : [],
    }
  })
}

/** Ids as OpenTelemetry has them; undefined for anything else. */
export function readSpanIds(given: unknown): SpanContext | undefined {
  const { traceId, spanId, traceFlags } = (given ?? {}) as Partial<SpanIds>
  if (!isHex(traceId, 32) || !isHex(spanId, 16)) return undefined
  return { traceId, spanId, traceFlags: Number(traceFlags) & 0xff, isRemote: true }
}

function isHex(value: unknown, length: number): value is string {
  return typeof value === 'string' && value.length === length && /^[0-9a-f]+$/.test(value) && /[1-9a-f]/.test(value)
}

function strings(entries: [string, unknown][]): [string, string][] {
  return entries.slice(0, MAX_KEYS).filter((entry): entry is [string, string] => isText(entry[1]))
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT
}
