// Holds dashboards, as JSON, against the types of Grafana's foundation SDK: with TypeScript's own eyes for what is unknown.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../support/staged.ts'

// JSON has the values of enums, not their members; and a data query is known by its source only.
const TYPES = `
import type * as dashboard from '@grafana/grafana-foundation-sdk/dashboard'
import type * as heatmap from '@grafana/grafana-foundation-sdk/heatmap'
import type * as logs from '@grafana/grafana-foundation-sdk/logs'
import type * as loki from '@grafana/grafana-foundation-sdk/loki'
import type * as prometheus from '@grafana/grafana-foundation-sdk/prometheus'
import type * as stat from '@grafana/grafana-foundation-sdk/stat'
import type * as statetimeline from '@grafana/grafana-foundation-sdk/statetimeline'
import type * as table from '@grafana/grafana-foundation-sdk/table'
import type { TableFieldOptions } from '@grafana/grafana-foundation-sdk/common'
import type * as timeseries from '@grafana/grafana-foundation-sdk/timeseries'

type Plain<T> = T extends string ? \`\${T}\` : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T as K extends '_implementsDataqueryVariant' ? never : K]: Plain<T[K]> } : T
type Kind<Type extends string, Options, Custom, Query> =
  Plain<Omit<dashboard.Panel, 'type' | 'options' | 'targets' | 'fieldConfig'>> & {
    type: Type
    options: Partial<Plain<Options>>
    targets: Plain<Query>[]
    fieldConfig: { defaults: Plain<Omit<dashboard.FieldConfig, 'custom'>> & { custom?: Partial<Plain<Custom>> }; overrides: Plain<dashboard.FieldConfigSource['overrides']> }
  }
type Panel =
  | Kind<'timeseries', timeseries.Options, timeseries.FieldConfig, prometheus.Dataquery>
  | Kind<'stat', stat.Options, {}, prometheus.Dataquery>
  | Kind<'table', table.Options, TableFieldOptions, prometheus.Dataquery>
  | Kind<'heatmap', heatmap.Options, heatmap.FieldConfig, prometheus.Dataquery>
  | Kind<'state-timeline', statetimeline.Options, statetimeline.FieldConfig, prometheus.Dataquery>
  | Kind<'logs', logs.Options, {}, loki.dataquery>
  | Plain<dashboard.RowPanel>
export type Checked = Plain<Omit<dashboard.Dashboard, 'panels'>> & { panels: Panel[] }
`

/** What TypeScript complains of, one line each. */
export function complaintsOfTypes(dashboards: readonly (readonly [file: string, json: string])[]): string[] {
  const cache = join(ROOT, '.cache')
  mkdirSync(cache, { recursive: true })
  const directory = mkdtempSync(join(cache, 'grafana-types-'))
  try {
    writeFileSync(join(directory, 'types.ts'), TYPES)
    for (const [file, json] of dashboards) {
      const code = `import type { Checked } from './types.ts'\nexport const dashboard: Checked = ${json}`
      writeFileSync(join(directory, file.replace(/json$/, 'ts')), code)
    }
    const options = { ...{ strict: true, noEmit: true, module: 'NodeNext', target: 'ES2022' }, ...MORE }
    writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.ts'] }))
    return complaintsOf(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const MORE = { skipLibCheck: true, allowImportingTsExtensions: true, types: [] }

function complaintsOf(directory: string): string[] {
  try {
    execFileSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', directory], {
      encoding: 'utf8',
    })
    return []
  } catch (error) {
    const { stdout } = error as { stdout: string }
    return stdout.split('\n').filter((line) => /: error TS\d+/.test(line))
  }
}
