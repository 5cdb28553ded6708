// Every expression of the dashboards and rules, asked of a real Prometheus that scrapes real workers.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { amtool, promtool } from '../../scripts/prometheus/index.ts'
import { METRIC, type MetricName, WATCH_METRIC } from '../../src/kernel/names.ts'
import { type Alert, alerts, api, eventually, number, query, range, type Series } from '../support/prometheus.ts'
import { Done, type Numbers, RECORDED, SHOWN } from './done.ts'
import {
  type Asked,
  askedBy,
  dashboards,
  filledIn,
  INTERVAL_SECONDS,
  lenient,
  rules,
  selectors,
} from './expressions.ts'
import { WORKERS } from './fleet/fleet.ts'
import { snippets } from './snippets.ts'
import { keep, raise, type Stage } from './stage.ts'

let stage: Stage
let url: string
let done: Done
/** Before anything was there; the work's beginning and its end. In Unix seconds. */
let empty: number
let began: number
let ended: number

beforeAll(async () => {
  await Promise.all([promtool(), amtool()]) // a fresh machine installs them first
  empty = Date.now() / 1000
  stage = await raise()
  const { fleet, prometheus } = stage
  url = prometheus.url
  const scraped = () => number(url, 'count(taskiq_worker_info)')
  await eventually('a scrape of each worker', scraped, (count) => count === 5)
  began = Date.now() / 1000

  // A worker dies with a task in its hands; another finds it.
  const taken = fleet.told('archive', 'taken')
  fleet.order('api', 'archive')
  await taken
  await fleet.kill('archive')
  fleet.order('render', 'recover')

  for (const worker of ['render', 'mail', 'scheduler'] as const) fleet.order(worker, 'go')
  await fleet.ask('api', 'go', 'sent')
  const ledger = await eventually('the end of all tasks', fleet.ledger, (now) => new Done(now).isAll())
  const at = Date.now() / 1000
  const [jobs, messages] = await Promise.all([fleet.ask('api', 'size', 'size'), fleet.ask('mail', 'size', 'size')])
  done = new Done(ledger, { ...(jobs as object), ...(messages as object) })
  // Looked at, scraped, looked at by the rules.
  const looked = () => number(url, 'min(taskiq_watch_last_sample_timestamp_seconds)')
  await eventually('a look at each queue', looked, (time) => Number(time) > at + 2)
  ended = Date.now() / 1000
}, 600_000)
afterAll(() => stage?.close())

async function asked({ expr, over }: Pick<Asked, 'expr' | 'over'>, from = began, until = ended): Promise<Series[]> {
  const expression = filledIn(expr)
  return over === 'range' ? range(url, expression, { start: from, end: until, stepSeconds: 1 }) : query(url, expression)
}

/** The selectors of an expression that no series has matched. */
async function unmatched(expression: string): Promise<string[]> {
  const found = [...selectors(filledIn(expression))].map(async (selector) => {
    const parameters = { 'match[]': selector, start: String(empty), end: String(Date.now() / 1000) }
    return (await api<object[]>(url, 'series', parameters)).length === 0 ? [selector] : []
  })
  return (await Promise.all(found)).flat()
}

it('every query of a runbook is answered, and asks for series that there are', async () => {
  const nothing: string[] = []
  for (const { title, text } of snippets('promql')) {
    await query(url, text) // an empty answer is what some of them hope for
    for (const selector of await unmatched(text)) nothing.push(`${title}: ${selector} matches nothing`)
  }
  expect(nothing).toEqual([])
})

describe('every query of a dashboard', () => {
  it.each(dashboards)('of %s finds what it asks for', async (file) => {
    const nothing: string[] = []
    for (const one of askedBy(file)) {
      // Annotations tell of what has changed: of workers that are new, for one.
      const series = await asked(one, one.type === '' ? empty : began)
      if (series.length === 0) nothing.push(`${one.title}: ${one.expr}`)
      for (const selector of await unmatched(one.expr)) nothing.push(`${one.title}: ${selector} matches nothing`)
    }
    expect(nothing).toEqual([])
  })
})

it('every metric that there is has series, with every outcome, state, reason and event', async () => {
  const missing: string[] = []
  for (const { name, type } of [...Object.values(METRIC), ...Object.values(WATCH_METRIC)] as MetricName[]) {
    const series = type === 'histogram' ? `taskiq_${name}_bucket` : `taskiq_${name}`
    if ((await unmatched(series)).length > 0) missing.push(series)
  }
  expect(missing).toEqual([])
  const values = async (metric: string, label: string) => {
    const found = await query(url, `group by (${label}) (taskiq_${metric})`)
    return found.map(({ metric: labels }) => labels[label]).sort()
  }
  expect(await values('tasks_total', 'outcome')).toEqual(
    ['cancelled', 'deferred', 'failure', 'lost', 'rejected', 'retry', 'success'].sort(),
  )
  expect(await values('steps_total', 'outcome')).toEqual(
    expect.arrayContaining(['failure', 'restored', 'retry', 'skipped', 'success', 'timeout']),
  )
  expect(await values('queue_depth', 'state')).toEqual(
    ['active', 'delayed', 'failed', 'paused', 'prioritized', 'unacked', 'waiting', 'waiting_children'].sort(),
  )
  expect(await query(url, 'taskiq_queue_depth{state!="active"} > 0').then(statesOf)).toEqual(
    ['delayed', 'failed', 'paused', 'prioritized', 'unacked', 'waiting', 'waiting_children'].sort(),
  )
  expect(await values('messages_rejected_total', 'reason')).toEqual(['expired', 'malformed', 'other', 'unknown_task'])
  expect(await values('broker_events_total', 'event')).toEqual(['consumer_cancelled', 'returned', 'stalled'])
})

function statesOf(series: readonly Series[]): (string | undefined)[] {
  return [...new Set(series.map(({ metric }) => metric.state))].sort()
}

describe('what is shown is what the workers really did', () => {
  it.each(SHOWN)('on the dashboard %s: %s, query %i', async (dashboard, title, at, expected) => {
    const one = askedBy(`${dashboard}.json`).filter((each) => each.title === title)[at]
    if (one === undefined) throw new Error(`no such panel: ${title}`)
    expect(await numbers(filledIn(one.expr))).toEqual(rounded(expected(done)))
  })

  it.each(RECORDED)('recorded as %s', async (expression, expected) => {
    expect(await numbers(expression)).toEqual(rounded(expected(done)))
  })

  it('and the alerts that its rules raise say so', async () => {
    const rule = (name: string) => rules.find(({ alert }) => alert === name)?.expr as string
    expect(await numbers(rule('TasksLost'))).toEqual({ 'archive archive_clip': 1 })
    expect(await numbers(rule('MessagesMalformed'))).toEqual({ clips: done.did('rejected malformed') })
    const firing = (await alerts(url)).filter(({ state }) => state === 'firing').map(({ labels }) => labels)
    const of = (alertname: string) => firing.filter((labels) => labels.alertname === alertname)
    expect(of('WorkerGone').map(({ worker }) => worker)).toEqual(['archive'])
    expect(of('WorkerStuck').map(({ queue }) => queue)).toEqual(['exports'])
    expect(of('QueueWithoutConsumers').map(({ queue }) => queue)).not.toContain('clips')
  })
})

const LABELS = ['queue', 'schedule', 'pipeline', 'worker', 'task_name', 'step', 'service', 'operation', 'unit']

/** A single number, or numbers by the labels that tell them apart. */
async function numbers(expression: string): Promise<Numbers> {
  const series = await query(url, expression)
  const named = series.map(({ metric, value }): [string, number] => {
    const words = LABELS.flatMap((label) => metric[label] ?? [])
    return [words.join(' '), Number(value?.[1])]
  })
  const [first] = named
  return rounded(first !== undefined && first[0] === '' ? first[1] : Object.fromEntries(named))
}

function rounded(value: Numbers): Numbers {
  const round = (each: number) => Math.round(each * 1e6) / 1e6
  if (typeof value === 'number') return round(value)
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, round(each)]))
}

it('keeps what the panels showed, for pictures of it', async () => {
  const shown: Record<string, object[]> = {}
  for (const file of dashboards) {
    const panels = askedBy(file).filter(({ type }) => type !== '')
    shown[file] = await Promise.all(
      panels.map(async ({ title, expr, legend, unit, type, over }) => {
        const series = await asked({ expr, over })
        const result = series.map(({ metric, value, values }) => ({ metric, values: values ?? [value] }))
        return { panel: title, expr, legend, unit, type, result }
      }),
    )
  }
  keep({ recordedAt: new Date(ended * 1000).toISOString(), intervalSeconds: INTERVAL_SECONDS, dashboards: shown })
})

// What judges a worker, a queue or a broker must not fall silent with it. The others of this kind (a queue that nobody has
// looked at for 2 min, a schedule that is late) need more time than a test has; promtool gives it to them.
const GONE = [
  ...['WorkerDown', 'WorkerGone', 'WorkerCpuHigh', 'WorkerMemoryHigh', 'EventLoopLagHigh', 'WorkerStuck'],
  ...['QueueBacklogHigh', 'QueueWaitTooLong', 'QueueWithoutConsumers', 'DeadLetterQueueNotEmpty'],
  ...['BrokerMemoryHigh', 'BrokerBlocked'],
]

describe('when every worker is killed', () => {
  beforeAll(() => stage.fleet.kill('api', 'render', 'mail', 'scheduler'))

  it('the alerts of its series fire, and Alertmanager delivers them', { timeout: 60_000 }, async () => {
    const firing = async () => (await alerts(url)).filter(({ state }) => state === 'firing')
    const isComplete = (now: readonly Alert[]) => {
      const gone = now.filter(({ labels }) => labels.alertname === 'WorkerGone')
      const missing = GONE.filter((name) => !now.some(({ labels }) => labels.alertname === name))
      return missing.length === 0 && gone.length === WORKERS.length
    }
    await eventually('every alert', firing, isComplete)

    const told = async () =>
      stage.delivered.flatMap(({ receiver, alerts: all }) => all.map((each) => ({ receiver, each })))
    const ofRender = await eventually('a delivery', told, (all) => all.some(isWorkerGone))
    const { receiver, each } = ofRender.find(isWorkerGone) ?? {}
    expect(receiver).toBe('on-call')
    expect(each?.annotations.runbook_url).toMatch(/worker-gone\.md$/)
    expect(each?.annotations.summary).toContain('render')
  })
})

it('schedules and queues whose processes are all dead are still shown', async () => {
  const all = [...askedBy('schedules.json'), ...askedBy('queues.json')]
  const ask = (title: string) => all.find((each) => each.title === title)?.expr ?? ''
  expect(await query(url, 'taskiq_cron_last_success_timestamp_seconds')).toEqual([])
  expect(Object.keys(await numbers(filledIn(ask('Did it run?')))).sort()).toEqual(['cleanup', 'nightly_report'])
  expect(await numbers(filledIn(ask('Schedules')))).toBe(2)
  expect(await query(url, 'taskiq_watch_last_sample_timestamp_seconds')).toEqual([])
  expect(await numbers(filledIn(ask('Last looked at')))).toBeGreaterThan(0)
})

function isWorkerGone({ each: { labels } }: { each: { labels: Readonly<Record<string, string>> } }): boolean {
  return labels.alertname === 'WorkerGone' && labels.worker === 'render'
}

it.each(rules.map((rule) => [rule.alert ?? rule.record, rule] as const))(
  'the rule %s finds what it judges', // in the end: some of them judge what is no more
  async (_, { alert, expr }) => {
    expect(await unmatched(expr)).toEqual([])
    const expression = alert === undefined ? expr : lenient(expr)
    const series = await asked({ expr: expression, over: 'range' }, empty, Date.now() / 1000)
    expect(series.length).toBeGreaterThan(0)
  },
)
