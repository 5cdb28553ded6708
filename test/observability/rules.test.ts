// The alerting rules, run by promtool: each alert at its limit and over it, gone, and over again.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ALERTS, type AlertName } from '../../src/observability/alerts.ts'
import { DEFAULT_RULES } from '../../src/observability/rule.ts'
import { ruleFiles } from '../../src/observability/rules.ts'
import { complaints, complaintsOfCheck } from './promtool.ts'
import { OTHERS } from './scenarios/others.ts'
import { QUEUES } from './scenarios/queues.ts'
import type { ShownAlerts } from './scenarios/shape.ts'
import { TASKS } from './scenarios/tasks.ts'
import { WORKERS } from './scenarios/workers.ts'

const SHOWN: ShownAlerts = { ...TASKS, ...QUEUES, ...WORKERS, ...OTHERS }
const shown = Object.entries(SHOWN)

it('every alert is shown; and gone, where it judges what may be gone', () => {
  expect(Object.keys(SHOWN).sort()).toEqual(Object.keys(ALERTS).sort())
  const without = Object.entries(ALERTS).filter(
    ([name, { about }]) =>
      ['queue', 'worker', 'schedule', 'broker'].includes(about) && SHOWN[name as AlertName]?.gone === undefined,
  )
  expect(without.map(([name]) => name)).toEqual([])
})

it('every alert is shown in each of its degrees', () => {
  for (const [name, { severities }] of Object.entries(ALERTS)) {
    const fired = Object.values(SHOWN[name as AlertName]?.over.at ?? {}).flat()
    expect(new Set(fired.map(({ labels }) => labels.severity)), name).toEqual(new Set(severities))
  }
})

it('the rules are right, and none stands twice', async () => {
  expect(await complaintsOfCheck(DEFAULT_RULES)).toBe('')
})

describe.each(shown)('%s', (name, { over, atLimit, gone, also }) => {
  const alert = name as AlertName

  it('fires over its limit, not before its time, and ends', async () => {
    const moments = Object.values(over.at).map((firing) => firing.length > 0)
    expect(moments).toEqual([false, true, ...moments.slice(2, -1), false])
    expect(await complaints(alert, over, DEFAULT_RULES)).toBe('')
  })

  it('is silent at its limit', async () => {
    expect(Object.values(atLimit.at).flat()).toEqual([])
    expect(await complaints(alert, atLimit, DEFAULT_RULES)).toBe('')
  })

  const more = { ...(gone !== undefined && { 'fires when its series are gone': gone }), ...also }
  it.each(Object.entries(more))('%s', async (_, scenario) => {
    expect(await complaints(alert, scenario, DEFAULT_RULES)).toBe('')
  })
})

it('the files that ship are these rules', () => {
  const directory = join(import.meta.dirname, '../../observability/prometheus/rules')
  const written = Object.fromEntries(
    readdirSync(directory).map((name) => [name, readFileSync(join(directory, name), 'utf8')]),
  )
  // Else: npm run observability
  expect(written).toEqual(ruleFiles())
})
