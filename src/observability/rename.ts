// Another prefix in the texts that ship: dashboards, queries, runbooks. Only names that are known, not the word as such.
import { DEFAULT_PREFIX, spanNames } from '../kernel/names.ts'
import { seriesNames } from './promql.ts'
import { groups } from './rules.ts'

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')

/** Metrics, series that rules record, attributes; and spans, whose names go on with a task's: `taskiq.render_clip`. */
function known(): RegExp {
  const recorded = groups().flatMap(({ rules }) => rules.flatMap((rule) => ('record' in rule ? [rule.record] : [])))
  const attributes = Object.values(spanNames()).filter((name) => typeof name === 'string')
  const rest = [...Object.values(seriesNames(DEFAULT_PREFIX)), ...recorded, ...attributes]
    .map((name) => name.slice(DEFAULT_PREFIX.length))
    .sort((one, other) => other.length - one.length)
    .map(escaped)
  const names = `(?=(?:${rest.join('|')})(?:_bucket|_sum|_count)?(?![A-Za-z0-9_]))`
  // At the beginning of a string or a pattern: "taskiq.%", `taskiq.render_clip`, "taskiq\\..*", "taskiq_.*"; in TraceQL.
  const begun = `(?<=["'\`^(]|\\bspan\\.)${DEFAULT_PREFIX}(?=\\\\*\\.|_[.%*])`
  return new RegExp(`(?<![A-Za-z0-9_:])${DEFAULT_PREFIX}${names}|${begun}`, 'g')
}

/** A text that ships, for metrics and spans under another prefix. */
export function renamed(text: string, prefix: string): string {
  return prefix === DEFAULT_PREFIX ? text : text.replace(known(), prefix)
}
