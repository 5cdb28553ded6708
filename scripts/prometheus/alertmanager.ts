// Starts a private Alertmanager on a free port of 127.0.0.1, alone and without a cluster.
import { mkdtempSync, realpathSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startBroker } from '../brokers/broker.ts'
import { runOwned } from '../brokers/owned-process.ts'
import { freePort } from '../brokers/ports.ts'
import { alertmanager } from './programs.ts'

/** What `alertmanager.yml` says, as an object. */
export interface AlertmanagerConfig {
  readonly route: object
  readonly receivers: readonly object[]
  readonly templates?: readonly string[]
  readonly [other: string]: unknown
}

export interface Alertmanager extends AsyncDisposable {
  readonly url: string
  /** Ends it for good; its data is removed. Safe to call twice. */
  close(): Promise<void>
}

/** Resolves when it takes alerts. */
export async function startAlertmanager(config: AlertmanagerConfig): Promise<Alertmanager> {
  const server = await alertmanager()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'taskspan-alertmanager-')))
  const file = join(directory, 'alertmanager.yml')
  // The path of templates that are not there comes back with its status: it tells it from any other on the same port.
  const mark = join(directory, '*.tmpl')
  const templates = [...(config.templates ?? []), mark]
  writeFileSync(file, JSON.stringify({ ...config, templates }, null, 2)) // JSON is YAML
  const flags = [
    `--config.file=${file}`,
    `--storage.path=${join(directory, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    `--web.external-url=${url}`,
    '--cluster.listen-address=',
    '--log.level=warn',
  ]
  const running = await startBroker({
    name: 'Alertmanager',
    url,
    run: () => runOwned({ directory, command: [server, ...flags], env: process.env }),
    ready: async () => (await statusOf(url)).includes(mark),
    readyWithinMs: 30_000,
  })
  return { url, close: running.stop, [Symbol.asyncDispose]: running.stop }
}

async function statusOf(url: string): Promise<string> {
  try {
    const response = await fetch(`${url}/api/v2/status`, { signal: AbortSignal.timeout(2_000) })
    return await response.text()
  } catch {
    return ''
  }
}
