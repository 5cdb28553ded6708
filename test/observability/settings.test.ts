// What a user chose: in the expressions, in promtool, under another prefix.
import { describe, expect, it } from 'vitest'
import { secondsOf } from '../../src/observability/durations.ts'
import { fromKept, toKept } from '../../src/observability/kept.ts'
import { renamed } from '../../src/observability/rename.ts'
import { type AlertRule, DEFAULT_RULES, type RulesOptions } from '../../src/observability/rule.ts'
import { groups, ruleFiles } from '../../src/observability/rules.ts'
import { NONE, rulesOf, type Settings, withChosen } from '../../src/observability/settings.ts'
import { limits } from '../../src/observability/thresholds.ts'
import { complaints, complaintsOfCheck, ramp } from './promtool.ts'

const chosen = (flags: Partial<Parameters<typeof withChosen>[1]>, kept: Settings = NONE): RulesOptions =>
  rulesOf(withChosen(kept, { thresholds: {}, perTask: [], without: [], ...flags }))
const alerts = (options: RulesOptions, name: string): AlertRule[] =>
  groups(options).flatMap(({ rules }) =>
    rules.flatMap((rule) => ('alert' in rule && rule.alert === name ? [rule] : [])),
  )

describe('thresholds', () => {
  it.each([
    ['failure-rate', '0.07', 'TaskFailureRateHigh', '> 0.07', '7 %'],
    ['duration', '90s', 'TaskDurationP99High', '> 90', '90 s'],
    ['depth', '250', 'QueueBacklogHigh', '> 250', '250'],
    ['depth-critical', '7000', 'QueueBacklogHigh', '> 7000', '7000'],
    ['wait', '1h30m', 'QueueWaitTooLong', '> 5400', '1 h 30 min'],
    ['pipeline-failure-rate', '.5', 'PipelineFailureRateHigh', '> .5', '50 %'],
    ['pipeline-duration', '2m', 'PipelineDurationP99High', '> 120', '2 min'],
    ['ext-error-rate', '0.2', 'ExternalErrorRateHigh', '> 0.2', '20 %'],
    ['cpu', '0.6', 'WorkerCpuHigh', '> 0.6', '60 %'],
    ['memory', '0.7', 'WorkerMemoryHigh', '> 0.7', '70 %'],
    ['event-loop-lag', '250ms', 'EventLoopLagHigh', '> 0.25', '250 ms'],
    ['broker-memory', '0.75', 'BrokerMemoryHigh', '> 0.75', '75 %'],
  ])('--%s %s is in the expression and in the description', (flag, value, name, expression, words) => {
    const rules = alerts(chosen({ thresholds: { [flag]: value } }), name)
    expect(rules.map(({ expr }) => expr)).toContainEqual(expect.stringContaining(expression))
    expect(rules.map(({ annotations }) => annotations.description)).toContainEqual(expect.stringContaining(words))
  })

  it('--paused-for, --at-least, --forget-after and --dead-letter-queues are where they belong', () => {
    const options = chosen({
      thresholds: { 'paused-for': '2h', 'at-least': '50', 'forget-after': '3d', 'dead-letter-queues': '\\d+-"dead' },
    })
    expect(alerts(options, 'QueuePausedTooLong')[0]?.for).toBe('2h')
    const text = JSON.stringify(groups(options))
    expect(text).toContain('>= 50')
    expect(text).not.toContain('>= 20')
    expect(text).toContain('[3d]')
    expect(text).toContain('time() - 259200')
    expect(alerts(options, 'DeadLetterQueueNotEmpty')[0]?.expr).toContain(String.raw`{queue=~"\\d+-\"dead"}`)
  })

  it('--depth alone takes the critical depth with it', () => {
    const [warning, critical] = alerts(chosen({ thresholds: { depth: '5000' } }), 'QueueBacklogHigh')
    expect([warning?.expr, critical?.expr]).toEqual([
      expect.stringContaining('> 5000 '),
      expect.stringContaining('> 50000 '),
    ])
  })

  it('any of them make rules that promtool takes', async () => {
    const options = chosen({
      prefix: 'jobs',
      runbooks: 'https://ops.example.org/runbooks/',
      thresholds: { depth: '7', 'dead-letter-queues': '(?i)\\w+-"dead"', 'forget-after': '3650d' },
      perTask: ['render_clip=60s', 'a "quoted" \\ task+=1h'],
      without: ['LabelOverflow'],
    })
    expect(await complaintsOfCheck(options)).toBe('')
    const [rule] = alerts(options, 'CronSilent')
    expect(rule?.annotations.runbook_url).toBe('https://ops.example.org/runbooks/cron-silent.md')
    expect(alerts(options, 'LabelOverflow')).toEqual([])
  })
})

describe('--per-task', () => {
  const slow = (task: string, minutes: number): Record<string, readonly number[]> => {
    const labels = `queue="render",task_name="${task}",task_type="on_demand",result="ok"`
    return {
      [`taskiq_tasks_duration_seconds_sum{${labels}}`]: ramp(45, minutes) as number[],
      [`taskiq_tasks_duration_seconds_count{${labels}}`]: ramp(1, minutes) as number[],
    }
  }
  const fires = (task: string, limit: string) => ({
    labels: { severity: 'warning', queue: 'render', task_name: task },
    summary: `${task} takes long on the queue render`,
    description: `Attempts take 45s on average (limit ${limit}), for 5 min.`,
  })

  it('has its own limit, higher or lower, and the others keep theirs', async () => {
    const options = chosen({ perTask: ['render.clip=60s', 'mail=5s'] })
    const series = { ...slow('render.clip', 30), ...slow('mail', 30), ...slow('renderXclip', 30) }
    const firing = [fires('mail', '5 s'), fires('renderXclip', '30 s')]
    expect(await complaints('TaskDurationAverageHigh', { series, at: { 20: firing } }, options)).toBe('')
  })
})

describe('settings that are kept', () => {
  it('come back as they were, and flags add to them', () => {
    const settings = withChosen(NONE, {
      thresholds: { depth: '200' },
      perTask: ['a=b=60s'],
      without: ['CronMissed'],
      prefix: 'jobs',
    })
    const kept = fromKept(toKept({ settings, files: { 'compose.yaml': 'abc' } }))
    expect(kept.files).toEqual({ 'compose.yaml': 'abc' })
    const options = chosen({ thresholds: { wait: '5m' }, perTask: ['mail=5s'], without: ['CronMissed'] }, kept.settings)
    expect(options).toMatchObject({ prefix: 'jobs', without: ['CronMissed'] })
    expect(options.limits).toMatchObject({ depth: '200', wait: '5m', perTask: { 'a=b': '60s', mail: '5s' } })
  })

  it('are taken back by `default`', () => {
    const kept = withChosen(NONE, { thresholds: { depth: '200' }, perTask: ['mail=5s'], without: [], prefix: 'jobs' })
    const options = chosen({ thresholds: { depth: 'default' }, perTask: ['mail=default'], prefix: 'default' }, kept)
    expect(options).toEqual(DEFAULT_RULES)
  })

  it('may be null, which is to say nothing', () => {
    const { settings } = fromKept(
      '{ "settings": { "prefix": null, "runbooks": null, "depth": null, "without": null } }',
    )
    expect(rulesOf(settings)).toEqual(DEFAULT_RULES)
    expect(fromKept('{ "settings": null, "files": null }')).toEqual({ settings: NONE, files: {} })
  })

  it('may be numbers, as a person writes them', () => {
    const { settings } = fromKept('{ "settings": { "failure-rate": 0.1, "depth": 200 } }')
    expect(rulesOf(settings).limits).toMatchObject({ 'failure-rate': '0.1', depth: '200' })
  })

  it.each([
    ['not JSON', '{', /not JSON/],
    ['no object', 'null', /It must be an object, got null/],
    ['settings that are none', '{ "settings": [1] }', /'settings' must be an object, got \[1\]/],
    ['an unknown threshold', '{ "settings": { "deph": 1 } }', /no threshold 'deph'/],
    ['a wrong value', '{ "settings": { "wait": "soon" } }', /--wait must be a duration .*got 'soon'/],
    ['an unknown alert', '{ "settings": { "without": ["Nope"] } }', /no alert 'Nope'/],
    ['a wrong prefix', '{ "settings": { "prefix": "a-b" } }', /--prefix must match/],
  ])('are refused with %s', (_, text, message) => {
    expect(() => fromKept(text)).toThrow(message)
  })
})

describe('another prefix', () => {
  it('is in every rule, and the old one in none', () => {
    const text = Object.values(ruleFiles({ ...DEFAULT_RULES, prefix: 'jobs' })).join('')
    expect(text).not.toContain('taskiq')
    expect(text).toContain('jobs_tasks_total')
    expect(text).toContain('jobs:queue_backlog:max')
  })

  it.each([
    [
      'rate(taskiq_tasks_total[5m]) / taskiq_tasks_duration_seconds_bucket',
      'rate(jobs_tasks_total[5m]) / jobs_tasks_duration_seconds_bucket',
    ],
    ['taskiq:queue_backlog:max > 0', 'jobs:queue_backlog:max > 0'],
    [
      '{ span.taskiq.outcome = "lost" && name =~ "taskiq\\\\..*" }',
      '{ span.jobs.outcome = "lost" && name =~ "jobs\\\\..*" }',
    ],
    ['{ span.taskiq.pipeline.critical_path_ms > 5 }', '{ span.jobs.pipeline.critical_path_ms > 5 }'],
    ["span_name LIKE 'taskiq.%'", "span_name LIKE 'jobs.%'"],
    ['the span `taskiq.render_clip`', 'the span `jobs.render_clip`'],
  ])('is in %s', (text, expected) => {
    expect(renamed(text, 'jobs')).toBe(expected)
  })

  it.each([
    'a Python TaskIQ worker, or taskiq',
    'my_taskiq_tasks_total',
    'taskiq_tasks_totals',
    'taskiq_of_theirs',
    'https://taskiq-python.github.io',
    'wire/taskiq.json',
  ])('leaves %s alone', (text) => {
    expect(renamed(text, 'jobs')).toBe(text)
  })
})

it('reads durations as Prometheus does', () => {
  expect(['30s', '10m', '1h30m', '500ms', '1d', '1m500ms'].map(secondsOf)).toEqual([30, 600, 5400, 0.5, 86_400, 60.5])
  expect(['', '0s', '30', 's', '1.5h', '30s10m', '-5s'].map(secondsOf)).toEqual(Array(7).fill(undefined))
  expect(limits().duration).toBe('30s')
})
