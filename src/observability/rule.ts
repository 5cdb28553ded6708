// Rules as plain data, as Prometheus reads them.
import { DEFAULT_PREFIX } from '../kernel/names.ts'
import { ALERTS, type AlertName, runbookOf, type Severity } from './alerts.ts'
import { type SeriesKey, seriesNames } from './promql.ts'
import { type Limits, limits } from './thresholds.ts'

export interface Recording {
  readonly record: string
  readonly expr: string
}

export interface AlertRule {
  readonly alert: AlertName
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>> & { readonly severity: Severity }
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook_url: string }
}

export interface Group {
  readonly name: string
  /** From one evaluation to the next. Default: Prometheus' own. */
  readonly interval?: string
  readonly rules: readonly (Recording | AlertRule)[]
}

export interface RulesOptions {
  readonly prefix: string
  readonly limits: Limits
  /** What stands before the file names of runbooks: a URL, or a path. */
  readonly runbooks: string
  /** Alerts that are left out. */
  readonly without: readonly AlertName[]
}

/** What the rules are made with. */
export interface Making {
  readonly series: Readonly<Record<SeriesKey, string>>
  readonly limits: Limits
  /** The name of a recorded series: `taskiq:queue_backlog:max`. */
  recorded(name: string): string
  alert(name: AlertName, rule: AlertText): AlertRule
}

interface AlertText {
  readonly expr: string
  readonly for?: string
  /** Where the alert has more than one. */
  readonly severity?: Severity
  readonly labels?: Readonly<Record<string, string>>
  readonly summary: string
  readonly description: string
}

/** Where runbooks lie beside the rules. */
export const RUNBOOKS = 'runbooks'

export const DEFAULT_RULES: RulesOptions = {
  prefix: DEFAULT_PREFIX,
  limits: limits(),
  runbooks: RUNBOOKS,
  without: [],
}

export function making({ prefix, limits: given, runbooks }: RulesOptions): Making {
  const base = runbooks.replace(/\/+$/, '')
  return {
    series: seriesNames(prefix),
    limits: given,
    recorded: (name) => `${prefix}:${name}`,
    alert: (name, { expr, for: lasting, severity, labels, summary, description }) => ({
      alert: name,
      expr,
      ...(lasting !== undefined && { for: lasting }),
      labels: { severity: severity ?? ALERTS[name].severities[0], ...labels },
      annotations: { summary, description, runbook_url: `${base}/${runbookOf(name)}` },
    }),
  }
}
