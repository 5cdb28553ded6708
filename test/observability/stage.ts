// The stage: brokers, a fleet of workers, a real Prometheus that scrapes and judges them, an Alertmanager, a receiver.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { parse } from 'yaml'
import { type Broker, startRedis } from '../../scripts/brokers/index.ts'
import {
  type Alertmanager,
  type AlertmanagerConfig,
  type Prometheus,
  startAlertmanager,
  startPrometheus,
} from '../../scripts/prometheus/index.ts'
import { newVhostUrl, rabbitMqManagementUrl } from '../support/rabbitmq.ts'
import { ROOT } from '../support/staged.ts'
import { impatient, RULES } from './expressions.ts'
import { type Fleet, startFleet, WORKERS } from './fleet/fleet.ts'

export interface Notification {
  readonly receiver: string
  readonly status: string
  readonly alerts: readonly {
    readonly labels: Readonly<Record<string, string>>
    readonly annotations: Readonly<Record<string, string>>
  }[]
}

export interface Stage {
  readonly fleet: Fleet
  readonly prometheus: Prometheus
  /** What Alertmanager has delivered so far. */
  readonly delivered: readonly Notification[]
  close(): Promise<void>
}

const MAX_MEMORY = 256 * 1024 * 1024

/** Everything starts at once: Prometheus needs 5 s before its first scrape, the fleet about as long. */
export async function raise(): Promise<Stage> {
  const delivered: Notification[] = []
  const open: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    await Promise.all(open.reverse().map((end) => end()))
  }
  try {
    const redis = await startRedis()
    open.push(() => redis.stop())
    const fleet = await startFleet({ ...(await brokers(redis)), prefix: 'fleet' })
    open.push(() => fleet.kill(...WORKERS))
    const receiver = await receive(delivered)
    open.push(async () => receiver.close().closeAllConnections())
    const alertmanager = await startAlertmanager(impatientRoutes(receiver))
    open.push(alertmanager.close)
    const prometheus = await scraping(fleet, alertmanager)
    open.push(prometheus.close)
    await fleet.ready
    return { fleet, prometheus, delivered, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function brokers(redis: Broker) {
  const client = new Redis(redis.url)
  await client.config('SET', 'maxmemory', String(MAX_MEMORY)) // without it nobody could say how much of it is used
  client.disconnect()
  const { hostname: host, port } = new URL(redis.url)
  const [amqp, management] = await Promise.all([newVhostUrl(), rabbitMqManagementUrl()])
  return { redis: { host, port: Number(port), maxRetriesPerRequest: null }, amqp, management }
}

async function scraping(fleet: Fleet, alertmanager: Alertmanager): Promise<Prometheus> {
  const directory = mkdtempSync(join(tmpdir(), 'taskspan-rules-'))
  for (const file of readdirSync(RULES)) writeFileSync(join(directory, file), impatient(file))
  try {
    return await startPrometheus({
      jobs: WORKERS.map((name) => ({ name: `shop-${name}`, targets: [fleet.addresses[name]] })),
      rules: [join(directory, '*.yml')],
      alertmanager: alertmanager.url,
    })
  } finally {
    rmSync(directory, { recursive: true }) // read at its start
  }
}

interface Shipped extends AlertmanagerConfig {
  readonly receivers: readonly { readonly name: string }[]
}

/** The routes that ship, without their patience; every receiver is this one. */
function impatientRoutes(receiver: Server): AlertmanagerConfig {
  const { port } = receiver.address() as AddressInfo
  const file = join(ROOT, 'observability/alertmanager/alertmanager.yml')
  const { route, receivers, ...others } = parse(readFileSync(file, 'utf8')) as Shipped
  return {
    ...others,
    route: { ...route, group_wait: '1s', group_interval: '1s' },
    receivers: receivers.map(({ name }) => ({ name, webhook_configs: [{ url: `http://127.0.0.1:${port}/${name}` }] })),
  }
}

async function receive(delivered: Notification[]): Promise<Server> {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    delivered.push(JSON.parse(body) as Notification)
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

/** What the queries returned, for those who draw pictures of it. */
export function keep(results: object): void {
  const directory = join(ROOT, '.cache/observability')
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'results.json'), `${JSON.stringify(results)}\n`)
}
