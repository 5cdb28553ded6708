// Starts a private Prometheus on a free port of 127.0.0.1, with exemplars and short intervals.
import { mkdtempSync, realpathSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBroker } from '../brokers/broker.ts'
import { runOwned } from '../brokers/owned-process.ts'
import { freePort } from '../brokers/ports.ts'
import { prometheus } from './programs.ts'

export interface ScrapeJob {
  /** The label `job`. */
  readonly name: string
  /** `127.0.0.1:9464`, or URLs, of which host and port are taken. */
  readonly targets: readonly string[]
  /** Further labels of what is scraped there. */
  readonly labels?: Readonly<Record<string, string>>
  /** Default `/metrics`. */
  readonly path?: string
}

export interface PrometheusOptions {
  readonly jobs?: readonly ScrapeJob[]
  /** Absolute paths of rule files; globs in the file name are taken. */
  readonly rules?: readonly string[]
  /** Address or URL of an Alertmanager. */
  readonly alertmanager?: string
  /** From one scrape to the next, and the time that each may take. Default 1,000 ms. */
  readonly scrapeIntervalMs?: number
  /** From one evaluation of the rules to the next. Default as the scrapes. */
  readonly evaluationIntervalMs?: number
}

export interface Prometheus extends AsyncDisposable {
  readonly url: string
  /** Ends it for good; its data is removed. Safe to call twice. */
  close(): Promise<void>
}

/** Resolves when it is ready for queries. Its first scrape comes 5 s later: so slow is its discovery of even static targets. */
export async function startPrometheus(options: PrometheusOptions = {}): Promise<Prometheus> {
  const server = await prometheus()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'taskspan-prometheus-')))
  const config = join(directory, 'prometheus.yml')
  const data = join(directory, 'data')
  writeFileSync(config, JSON.stringify(configuration(options), null, 2)) // JSON is YAML
  const flags = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${data}`,
    `--web.listen-address=127.0.0.1:${port}`,
    `--web.external-url=${url}`,
    '--enable-feature=exemplar-storage',
    '--scrape.discovery-reload-interval=100ms', // hidden; without it the first scrape comes 5 s later still
    '--log.level=warn',
  ]
  const running = await startBroker({
    name: 'Prometheus',
    url,
    run: () => runOwned({ directory, command: [server, ...flags], env: process.env }),
    ready: async () => (await get(`${url}/-/ready`)) !== undefined && (await pathOfData(url)) === data,
    readyWithinMs: 30_000,
  })
  return { url, close: running.stop, [Symbol.asyncDispose]: running.stop }
}

function configuration(options: PrometheusOptions): object {
  const { jobs = [], rules = [], alertmanager, scrapeIntervalMs = 1000 } = options
  const scrape = `${scrapeIntervalMs}ms`
  const evaluation = `${options.evaluationIntervalMs ?? scrapeIntervalMs}ms`
  return {
    global: { scrape_interval: scrape, scrape_timeout: scrape, evaluation_interval: evaluation },
    rule_files: rules,
    ...(alertmanager !== undefined && {
      alerting: { alertmanagers: [{ static_configs: [{ targets: [hostOf(alertmanager)] }] }] },
    }),
    scrape_configs: jobs.map(({ name, targets, labels = {}, path = '/metrics' }) => ({
      job_name: name,
      metrics_path: path,
      static_configs: [{ targets: targets.map(hostOf), labels }],
    })),
  }
}

function hostOf(address: string): string {
  return address.includes('://') ? new URL(address).host : address
}

// Its data directory tells it from any other Prometheus on the same port.
async function pathOfData(url: string): Promise<string | undefined> {
  const flags = (await get(`${url}/api/v1/status/flags`)) as { data?: Record<string, string> } | undefined
  return flags?.data?.['storage.tsdb.path']
}

async function get(url: string): Promise<unknown> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
    const text = await response.text()
    if (!response.ok) return undefined
    return text.startsWith('{') ? JSON.parse(text) : text
  } catch {
    return undefined
  }
}
