// One cause, one message: what the Alertmanager that ships keeps silent.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parse } from 'yaml'
import { type Alertmanager, type AlertmanagerConfig, startAlertmanager } from '../../scripts/prometheus/index.ts'

type Labels = Readonly<Record<string, string>>

let server: Alertmanager
beforeAll(async () => {
  const file = join(import.meta.dirname, '../../observability/alertmanager/alertmanager.yml')
  server = await startAlertmanager(parse(await readFile(file, 'utf8')) as AlertmanagerConfig)
}, 60_000)
afterAll(() => server?.close())

/** Fires alerts, and sees which of them are kept silent. */
async function silences(test: string, alerts: readonly Labels[], silent: readonly Labels[]): Promise<void> {
  const body = JSON.stringify(alerts.map((labels) => ({ labels: { ...labels, test } })))
  const headers = { 'content-type': 'application/json' }
  const posted = await fetch(`${server.url}/api/v2/alerts`, { method: 'POST', headers, body })
  expect(posted.status).toBe(200)
  const states = async () => {
    const answer = await fetch(`${server.url}/api/v2/alerts?${new URLSearchParams({ filter: `test="${test}"` })}`)
    const told = (await answer.json()) as { labels: Labels; status: { state: string } }[]
    return told.map(({ labels: { test: _, ...labels }, status: { state } }) => `${state} ${words(labels)}`).sort()
  }
  const isSilent = new Set(silent.map(words))
  // `unprocessed` at first, until its group was formed.
  const expected = alerts.map((labels) => `${isSilent.has(words(labels)) ? 'suppressed' : 'active'} ${words(labels)}`)
  await expect.poll(states).toEqual(expected.sort())
}

function words(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(' ')
}

it('a queue that nobody sees is told of once, and what is wrong with others all the same', async () => {
  const stuck = { alertname: 'WorkerStuck', severity: 'critical', queue: 'render', reason: 'gone' }
  const backlog = { alertname: 'QueueBacklogHigh', severity: 'warning', queue: 'render', reason: 'gone' }
  const others = [
    { alertname: 'QueueUnseen', severity: 'critical', queue: 'render' },
    { ...stuck, queue: 'mail' },
    { alertname: 'TaskFailureRateHigh', severity: 'critical', queue: 'render' },
  ]
  await silences('queue', [stuck, backlog, ...others], [stuck, backlog])
})

it('a worker of which no process is left is told of once', async () => {
  const who = { app: 'shop', worker: 'render' }
  const down = { alertname: 'WorkerDown', severity: 'warning', ...who, job: 'workers', instance: 'a:9464' }
  const memory = { alertname: 'WorkerMemoryHigh', severity: 'warning', ...who, reason: 'gone' }
  const others = [
    { alertname: 'WorkerGone', severity: 'critical', ...who },
    { ...down, worker: 'mail' },
  ]
  await silences('worker', [down, memory, ...others], [down, memory])
})

it('a silent schedule of which nobody tells, and a broker that nobody sees, are told of once', async () => {
  const schedule = { alertname: 'CronOverlapping', severity: 'warning', schedule: 'nightly', reason: 'gone' }
  const broker = { alertname: 'BrokerMemoryHigh', severity: 'warning', broker: 'redis:6379', reason: 'gone' }
  const others = [
    { alertname: 'CronSilent', severity: 'critical', schedule: 'nightly' },
    { alertname: 'CronMissed', severity: 'warning', schedule: 'nightly', reason: 'late' },
    { ...schedule, schedule: 'weekly' },
    { alertname: 'BrokerBlocked', severity: 'critical', broker: 'redis:6379', reason: 'gone' },
    { ...broker, broker: 'rabbit:5672' },
  ]
  await silences('schedule', [schedule, broker, ...others], [schedule, broker])
})

it('what is critical silences its own warning, and no other', async () => {
  const warning = { alertname: 'QueueBacklogHigh', severity: 'warning', queue: 'render' }
  const others = [
    { ...warning, severity: 'critical' },
    { ...warning, queue: 'mail' },
    { alertname: 'QueueWaitTooLong', severity: 'warning', queue: 'render' },
  ]
  await silences('severity', [warning, ...others], [warning])
})
