// Links from a number to the traces and lines behind it, as Grafana's Explore takes them.
import type { DashboardLink } from '@grafana/grafana-foundation-sdk/dashboard'
import { DashboardLinkBuilder } from '@grafana/grafana-foundation-sdk/dashboard'
import { spanNames } from '../../src/kernel/names.ts'

type Link = DashboardLinkBuilder & { build(): DashboardLink }

/** Traces whose spans match, in Tempo: `{ name = "…" }`. */
export function traces(title: string, traceql: string): Link {
  return explore(title, 'tempo', { queryType: 'traceql', query: traceql, tableType: 'traces' })
}

/** Log lines, in Loki. */
export function lines(title: string, logql: string): Link {
  return explore(title, 'loki', { expr: logql, queryType: 'range' })
}

/** The name of a task's span, or of any: `spanOf(of('task_name'))` is that of the series that was clicked. */
export const spanOf = (task: string): string => spanNames().task(task)
// Encoded: else a name with & or # ends the address, and + becomes a space. One with " or \ finds nothing.
/** A label of the series that was clicked. */
export const of = (label: string): string => `\${__field.labels.${label}:percentencode}`
/** A column of the row that was clicked. */
export const cell = (column: string): string => `\${__data.fields["${column}"]:percentencode}`

function explore(title: string, source: 'tempo' | 'loki', query: Readonly<Record<string, string>>): Link {
  const pane = {
    datasource: `\${${source}}`,
    queries: [{ refId: 'A', datasource: { type: source, uid: `\${${source}}` }, ...query }],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's variables
    range: { from: '${__from}', to: '${__to}' },
  }
  // Grafana puts its variables in before the browser sees the address: they alone must stay as they are.
  const panes = encodeURIComponent(JSON.stringify({ a: pane })).replace(/%24%7B(.+?)%7D/g, (_, name: string) => {
    return `\${${decodeURIComponent(name).replace(/\\"/g, '"')}}`
  })
  return new DashboardLinkBuilder(title).url(`/explore?schemaVersion=1&orgId=1&panes=${panes}`).targetBlank(true)
}
