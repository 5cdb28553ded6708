// What every dashboard has alike: data sources, choices, the mark of a new version, links to the others, ids and places.
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog'
import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { query, SOURCE } from './panel.ts'
import { CHOSEN_WORKERS, type ChoiceName, nameOf } from './phrases.ts'

interface Placed extends Builder<Panel> {
  id(id: number): this
}

export interface Frame {
  /** Of the file, and behind `taskspan-` in its address. */
  readonly name: string
  readonly title: string
  readonly what: string
  readonly choices: readonly ChoiceName[]
  /** Rows by title, each with its panels from left to right, top to bottom. */
  readonly rows: Readonly<Record<string, readonly Placed[]>>
}

export const TAG = 'taskspan'

export function dashboard({ name, title, what, choices, rows }: Frame): Dashboard {
  const asked = SOURCES.filter((type) => JSON.stringify(built(rows)).includes(`\${${type}}`))
  const made = new DashboardBuilder(`Taskspan / ${title}`)
    .uid(`${TAG}-${name}`)
    .description(what)
    .tags([TAG])
    .time({ from: 'now-6h', to: 'now' })
    .refresh('30s')
    .tooltip(DashboardCursorSync.Crosshair)
    .variables([...asked.map(source), ...workers(), ...choices.map((choice) => CHOICES[choice]())])
    .annotations([versions()])
    .link(others())
  let id = 1
  for (const [row, panels] of Object.entries(rows)) {
    made.withRow(new RowBuilder(row).id(id++))
    for (const panel of panels) made.withPanel(panel.id(id++))
  }
  return made.build()
}

const SOURCES = ['prometheus', 'loki', 'tempo'] as const
const built = (rows: Frame['rows']): Panel[] =>
  Object.values(rows).flatMap((panels) => panels.map((each) => each.build()))

function source(type: (typeof SOURCES)[number]): Builder<VariableModel> {
  return new DatasourceVariableBuilder(type)
    .label(type[0]?.toUpperCase() + type.slice(1))
    .type(type)
    .current({ text: type, value: type })
}

function workers(): Builder<VariableModel>[] {
  const info = nameOf('workerInfo')
  return [
    choice('app', 'App', `label_values(${info}, app)`),
    choice('worker', 'Worker', `label_values(${info}{app=~"$app"}, worker)`),
  ]
}

const CHOICES: Readonly<Record<ChoiceName, () => Builder<VariableModel>>> = {
  queue: () => choice('queue', 'Queue', ...ofWorkers('queue', 'tasks', 'queueDepth')),
  task: () => choice('task', 'Task', ...ofWorkers('task_name', 'tasks')),
  pipeline: () => choice('pipeline', 'Pipeline', ...ofWorkers('pipeline', 'pipelines')),
  schedule: () => choice('schedule', 'Schedule', ...ofWorkers('schedule', 'cronNextRun', 'cronLastSuccess')),
  service: () => choice('service', 'Service', ...ofWorkers('service', 'extDuration')),
}

// What the chosen workers have told of in the time that is shown: joined to who they are by instance, as in every panel.
function ofWorkers(label: string, ...keys: readonly Parameters<typeof nameOf>[0][]): [query: string, regex: string] {
  const within = (series: string): string => `last_over_time(${series}[$__range])`
  const told = keys.map((key) => within(key === 'extDuration' ? `${nameOf(key)}_count` : nameOf(key))).join(' or ')
  const joined = `count by (${label}) ((${told}) and on (instance) ${within(CHOSEN_WORKERS)})`
  return [`query_result(${joined})`, `/${label}="([^"]+)"/`]
}

function choice(name: string, label: string, text: string, regex?: string): QueryVariableBuilder {
  const made = new QueryVariableBuilder(name)
    .label(label)
    .datasource(SOURCE.prometheus)
    .query({ query: text, refId: `${name}s` })
    .definition(text)
    .multi(true)
    .includeAll(true)
    .allValue('.*') // also what has no such label
    .current({ text: ['All'], value: ['$__all'] })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalCaseInsensitiveAsc)
  return regex === undefined ? made : made.regex(regex)
}

// A version that was not there the day before: the first thing to know of a night in which something broke.
function versions(): AnnotationQueryBuilder {
  const by = 'count by (app, worker, version)'
  const info = `${nameOf('workerInfo')}{app=~"$app",worker=~"$worker"}`
  const expr = `${by} (${info}) unless ${by} (last_over_time(${info}[1d] offset $__interval))`
  return new AnnotationQueryBuilder()
    .name('New version')
    .datasource(SOURCE.prometheus)
    .enable(true)
    .iconColor('purple')
    .expr(expr)
    .target(query({ expr }).refId('Anno') as Builder<Dataquery>)
    .titleFormat('{{app}} {{worker}}: {{version}}')
    .textFormat('first seen')
    .tagKeys('app,worker,version')
    .step('30s')
}

function others(): DashboardLinkBuilder {
  return new DashboardLinkBuilder('Taskspan')
    .type(DashboardLinkType.Dashboards)
    .tags([TAG])
    .asDropdown(true)
    .includeVars(true)
    .keepTime(true)
}
