// What tracing() takes, and what is wrong with it.
import type { Attributes } from '@opentelemetry/api'
import type { CorrelationOptions } from '../../kernel/correlation.ts'
import { atLeast, strings } from '../../kernel/errors.ts'
import { prefixWrong } from '../../kernel/names.ts'
import type { Task } from '../../kernel/task.ts'

/** How a task's span relates to the span that its message carried. */
export type ParentMode = 'child' | 'link' | 'root'

export interface TracingOptions extends CorrelationOptions {
  /** Prefix of span and attribute names. Default `taskiq`. */
  readonly prefix?: string | undefined
  /**
   * `child` continues the sender's trace (default); `link` starts a trace of its own, linked to the sender; `root`
   * starts one without a link. Runs of a schedule are linked unless a function says otherwise: a scheduler's tasks would
   * else pile up in one endless trace.
   */
  readonly parent?: ParentMode | ((task: Task) => ParentMode) | undefined
  /** A message older than this, in ms and without deliberate delay, is linked instead of joined. Default: no limit. */
  readonly maxTraceAgeMs?: number | undefined
  /** More attributes for the span, at its start. At most 64, strings cut at 4,096 characters. A throw is counted. */
  readonly attributes?: ((task: Task) => Attributes | undefined) | undefined
}

export const MODES: ReadonlySet<unknown> = new Set<ParentMode>(['child', 'link', 'root'])
export const MODE_TEXT = "must be 'child', 'link', 'root'"

/** The options that `tracing()` takes, for those that pass them on. */
export const TRACING_OPTIONS = {
  prefix: prefixWrong,
  parent: (value: unknown) =>
    typeof value === 'function' || MODES.has(value) ? undefined : `${MODE_TEXT} or a function`,
  maxTraceAgeMs: atLeast(0),
  attributes: 'function',
  correlation: strings,
  correlate: 'function',
} as const
