// Tables: one query per column, joined by their labels.
import { TableFooterOptionsBuilder, TableSortByFieldStateBuilder } from '@grafana/grafana-foundation-sdk/common'
import type { DynamicConfigValue } from '@grafana/grafana-foundation-sdk/dashboard'
import { PanelBuilder } from '@grafana/grafana-foundation-sdk/table'
import { query, SOURCE, type Spec, steps } from './panel.ts'
import { look } from './panels.ts'

export interface Column extends Pick<Spec, 'lines' | 'bad' | 'unit'> {
  readonly name: string
  readonly expr: string
  /** 0, or what is given, as it would say in words: `1` is `up`. */
  readonly words?: Readonly<Record<string, readonly [text: string, colour: string]>>
}

export interface Table extends Spec {
  /** Labels that become columns, and what stands above them. */
  readonly by: Readonly<Record<string, string>>
  readonly columns: readonly Column[]
  readonly sortBy: string
  readonly ascending?: boolean
  /** How many rows at most. */
  readonly limit?: number
}

export function table(spec: Table): PanelBuilder {
  const letters = spec.columns.map((_, at) => String.fromCharCode(65 + at))
  const names = spec.columns.map(({ name }, at) => [spec.columns.length > 1 ? `Value #${letters[at]}` : 'Value', name])
  const limits = spec.columns.flatMap(({ lines = [] }) => lines)
  const { links = [], ...shown } = { ...spec, lines: limits }
  const panel = look(new PanelBuilder(), shown)
    .thresholds(steps({ title: '', what: '' }))
    .datasource(SOURCE.prometheus)
    .targets(spec.columns.map((column, at) => query(column, 'table').refId(letters[at] ?? 'Z')))
    .withTransformation({ id: 'merge', options: {} })
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: { Time: true },
        renameByName: { ...spec.by, ...Object.fromEntries(names) },
        indexByName: Object.fromEntries(
          [...Object.keys(spec.by), ...names.map(([from]) => from)].map((each, at) => [each, at]),
        ),
      },
    })
    .showHeader(true)
    .sortBy([new TableSortByFieldStateBuilder().displayName(spec.sortBy).desc(spec.ascending !== true)])
    .footer(new TableFooterOptionsBuilder().show(false).reducer(['sum']))
    .filterable(true)
  if (spec.limit !== undefined) {
    const sort = [{ field: spec.sortBy, desc: spec.ascending !== true }]
    panel.withTransformation({ id: 'sortBy', options: { fields: {}, sort } })
    panel.withTransformation({ id: 'limit', options: { limitField: spec.limit } })
  }
  for (const column of spec.columns) panel.overrideByName(column.name, properties(column))
  const [name = ''] = Object.values(spec.by).slice(-1)
  if (links.length > 0) panel.overrideByName(name, [{ id: 'links', value: links.map((link) => link.build()) }])
  return panel
}

function properties(column: Column): DynamicConfigValue[] {
  const isJudged = column.lines !== undefined || column.bad !== undefined
  return [
    ...(column.unit !== undefined ? [{ id: 'unit', value: column.unit }] : []),
    ...(isJudged
      ? [
          { id: 'thresholds', value: steps({ title: '', what: '', ...column }).build() },
          { id: 'custom.cellOptions', value: { type: 'color-text' } },
        ]
      : []),
    ...(column.words !== undefined
      ? [
          { id: 'mappings', value: [{ type: 'value', options: worded(column.words) }] },
          { id: 'custom.cellOptions', value: { type: 'color-text' } },
        ]
      : []),
  ]
}

function worded(words: NonNullable<Column['words']>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(words).map(([value, [text, color]], index) => [value, { text, color, index }]),
  )
}
