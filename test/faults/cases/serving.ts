// A server of metrics for each contender that has one, and the ways in which raw sockets ask it.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Counter, Registry } from 'prom-client'
import { serve } from 'taskspan/server'
import { telemetry } from 'taskspan/telemetry'
import { RawSocket } from '../../server/raw.ts'
import { CLOSE, HOST } from '../../server/requests.ts'
import type { Bench } from '../fault.ts'

export const TOKEN = 'a-token-for-faults'

export interface Serving {
  readonly port: number
  /** The address that it listens on unless told otherwise. */
  readonly host: string
  /** How often the metrics were collected. */
  collections(): number
  open(): Promise<RawSocket>
  /** Sends, and waits for the end of the connection. */
  send(bytes: string | Buffer): Promise<string>
  /** The status of a request on a connection of its own. */
  status(method: string, path: string, headers?: Readonly<Record<string, string | undefined>>): Promise<number>
  close(): Promise<void>
}

export interface ServingOptions {
  readonly host?: string
  /** Makes the metrics this large. Default: almost nothing. */
  readonly bytes?: number
}

export async function serving(bench: Bench, { host, bytes = 0 }: ServingOptions = {}): Promise<Serving> {
  const registry = new Registry()
  let collected = 0
  const probe = new Counter({
    name: 'probe',
    help: 'A metric.',
    labelNames: ['value'],
    registers: [registry],
    collect: () => void collected++,
  })
  for (let n = 0; n * 50_000 < bytes; n++) probe.inc({ value: `${n}${'x'.repeat(50_000)}` })
  const served = bench.contender === 'careless' ? await byHand(registry, host) : await ours(registry, host)
  bench.after(() => served.close())
  const finished = (clear: () => void): void => bench.after(clear)
  const send = (given: string | Buffer): Promise<string> => RawSocket.send(served.port, given, finished)
  return {
    ...served,
    collections: () => collected,
    open: () => RawSocket.open(served.port, finished),
    send,
    async status(method, path, headers = {}) {
      const given = Object.entries({ Host: '127.0.0.1', ...headers }).filter(([, value]) => value !== undefined)
      const lines = given.map(([name, value]) => `${name}: ${value}\r\n`).join('')
      const answer = await send(`${method} ${path} HTTP/1.1\r\n${lines}${CLOSE}\r\n`)
      return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1])
    },
  }
}

type Served = Pick<Serving, 'port' | 'host' | 'close'>

async function ours(registry: Registry, host: string | undefined): Promise<Served> {
  const t = telemetry({ registry, logging: false })
  return serve({ telemetry: t, port: 0, debug: { token: TOKEN }, ...(host !== undefined && { host }) })
}

/** As the READMEs of exporters write it. */
async function byHand(registry: Registry, host: string | undefined): Promise<Served> {
  const server = createServer(async (request, response) => {
    if (request.url === '/health') response.end('ok')
    else response.setHeader('content-type', registry.contentType).end(await registry.metrics())
  })
  server.listen(0, host)
  await once(server, 'listening')
  const { port, address } = server.address() as AddressInfo
  return { port, host: address, close: async () => void server.close() }
}

export const halfRequest = `GET /health HTTP/1.1\r\n${HOST}X-Half: `
