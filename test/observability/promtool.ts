// Runs rules through promtool: what fires, and when, for series that are given minute by minute.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { promtool } from '../../scripts/prometheus/index.ts'
import { type AlertName, runbookOf } from '../../src/observability/alerts.ts'
import type { RulesOptions } from '../../src/observability/rule.ts'
import { ruleFiles } from '../../src/observability/rules.ts'

/** One value a minute from minute 0 on; `undefined` where there is none, `'stale'` where its target was last seen. */
export type Samples = readonly (number | 'stale' | undefined)[]

export interface Firing {
  readonly labels: Readonly<Record<string, string>>
  readonly summary: string
  readonly description: string
}

export interface Scenario {
  readonly series: Readonly<Record<string, Samples>>
  /** By minute: what fires then, of one alert in all its severities. */
  readonly at: Readonly<Record<number, readonly Firing[]>>
}

/** A value that stays. */
export const flat = (value: number, minutes: number): Samples => Array.from({ length: minutes }, () => value)
/** A counter that rises from 0. */
export const ramp = (perMinute: number, minutes: number): Samples =>
  Array.from({ length: minutes }, (_, minute) => minute * perMinute)
/** Its target vanishes, as Prometheus sees it at the next scrape. */
export const vanishing = (samples: Samples): Samples => [...samples, 'stale']

const run = promisify(execFile)

/** Resolves with promtool's complaints, `''` where it has none. */
export async function complaints(alert: AlertName, scenario: Scenario, options: RulesOptions): Promise<string> {
  const files = filesOf(alert, options)
  const runbook_url = `${options.runbooks}/${runbookOf(alert)}`
  const test = {
    interval: '1m',
    input_series: Object.entries(scenario.series).map(([series, samples]) => ({
      series,
      values: samples.map((sample) => sample ?? '_').join(' '),
    })),
    alert_rule_test: Object.entries(scenario.at).map(([minute, firing]) => ({
      eval_time: `${minute}m`,
      alertname: alert,
      exp_alerts: firing.map(({ labels, ...annotations }) => ({
        exp_labels: labels,
        exp_annotations: { ...annotations, runbook_url },
      })),
    })),
  }
  return inDirectory(files, async (directory) => {
    const rule_files = Object.keys(files)
    await writeFile(
      join(directory, 'test.yml'),
      JSON.stringify({ rule_files, evaluation_interval: '1m', tests: [test] }),
    )
    return failure(run(await promtool(), ['test', 'rules', join(directory, 'test.yml')]))
  })
}

/** Only the file that has the alert, and that of the workers' names, which others join: all others cost time. */
function filesOf(alert: AlertName, options: RulesOptions): Record<string, string> {
  const needed = Object.entries(ruleFiles(options)).filter(
    ([name, text]) => name === 'taskspan-workers.yml' || text.includes(`alert: ${alert}\n`),
  )
  return Object.fromEntries(needed)
}

/** What `promtool check rules` says against the rules, `''` where it says nothing. */
export function complaintsOfCheck(options: RulesOptions): Promise<string> {
  const files = ruleFiles(options)
  return inDirectory(files, async (directory) => {
    const paths = Object.keys(files).map((name) => join(directory, name))
    return failure(run(await promtool(), ['check', 'rules', '--lint=all', '--lint-fatal', ...paths]))
  })
}

async function inDirectory<T>(files: Readonly<Record<string, string>>, work: (directory: string) => Promise<T>) {
  const directory = await mkdtemp(join(tmpdir(), 'taskspan-rules-'))
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
    return await work(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function failure(running: Promise<unknown>): Promise<string> {
  try {
    await running
    return ''
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as { stdout?: string; stderr?: string; message: string }
    return `${stdout}${stderr}` || message
  }
}
