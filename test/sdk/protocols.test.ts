// OTLP as JSON, as protobuf and over gRPC, by the real exporters: what arrives, and that a dead backend holds up nobody.
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Child, child, type Line } from './child.ts'
import { grpcReceiver } from './grpc-receiver.ts'
import { logRecords, serviceNames, spanNames } from './protobuf.ts'
import { blackHole, receiver } from './receiver.ts'

const UNAUTHENTICATED = 16
const INTERNAL = 13

async function exporting(protocol: string, url: string, env: Record<string, string> = {}): Promise<Child> {
  const started = child(
    'exporting-process.ts',
    { flushMs: 1_500 },
    {
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=acme%20inc',
      OTEL_LOGS_EXPORTER: 'otlp',
      ...env,
    },
  )
  await started.ended
  return started
}

const said = ({ lines }: Child, message: string): Line | undefined => lines.find((line) => line.message === message)
const delivered = (count: number) => expect.objectContaining({ delivered: count, failed: 0 })

describe('what arrives', { timeout: 40_000 }, () => {
  it('over gRPC: spans and log lines, joined, with headers', async () => {
    const backend = await grpcReceiver()
    onTestFinished(backend.close)
    const sent = await exporting('grpc', backend.url)
    expect(sent.stderr()).toBe('')
    const of = (service: string) => backend.requests.filter(({ path }) => path.includes(service))
    const [spans, ...more] = of('TraceService')
    expect(more).toEqual([])
    expect(spanNames(spans?.body ?? Buffer.alloc(0))).toEqual(['one'])
    expect(serviceNames(spans?.body ?? Buffer.alloc(0))).toEqual(['shop-render'])
    expect(spans?.headers).toMatchObject({ 'x-tenant': 'acme inc' })
    const records = of('LogsService').flatMap(({ body }) => logRecords(body))
    expect(records.map(({ body }) => body)).toEqual(['written inside', 'worker.draining', 'worker.stopped'])
    const line = said(sent, 'written inside')
    expect(records[0]?.traceId).toBe(line?.trace_id)
    expect(said(sent, 'closed')).toMatchObject({
      status: {
        problems: [],
        destinations: [
          { signal: 'traces', target: backend.url, delivered: 1 },
          { signal: 'logs', target: backend.url, delivered: 3 },
        ],
      },
    })
  })

  it('as protobuf over HTTP, each signal at its own path', async () => {
    const backend = await receiver()
    onTestFinished(backend.close)
    const sent = await exporting('http/protobuf', backend.url)
    expect(sent.stderr()).toBe('')
    const at = (path: string) => backend.requests.filter((request) => request.path === path)
    expect(at('/v1/traces').flatMap(({ body }) => spanNames(body))).toEqual(['one'])
    expect(at('/v1/traces').flatMap(({ body }) => serviceNames(body))).toEqual(['shop-render'])
    const bodies = at('/v1/logs').flatMap(({ body }) => logRecords(body).map((record) => record.body))
    expect(bodies).toEqual(['written inside', 'worker.draining', 'worker.stopped'])
    for (const { headers } of backend.requests) {
      expect(headers).toMatchObject({ 'content-type': 'application/x-protobuf', 'x-tenant': 'acme inc' })
    }
  })

  it('by a protocol of its own for each signal', async () => {
    const [http, grpc] = [await receiver(), await grpcReceiver()]
    onTestFinished(http.close)
    onTestFinished(grpc.close)
    const sent = await exporting('http/json', http.url, {
      OTEL_EXPORTER_OTLP_LOGS_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: grpc.url,
    })
    expect(sent.stderr()).toBe('')
    expect(http.spans().map(({ name }) => name)).toEqual(['one'])
    expect(grpc.requests.flatMap(({ body }) => logRecords(body))).toHaveLength(3)
    expect(said(sent, 'closed')).toMatchObject({ status: { destinations: [delivered(1), delivered(3)] } })
  })
})

describe('a backend that does not work', { timeout: 40_000 }, () => {
  it.each([
    ['grpc', 'refuses', async () => ({ url: 'http://127.0.0.1:9', close: () => {} })],
    ['grpc', 'accepts connections and hangs', blackHole],
    ['grpc', 'accepts calls and hangs', () => grpcReceiver('never')],
    ['grpc', 'says that something broke', () => grpcReceiver(INTERNAL)],
    ['grpc', 'says who are you', () => grpcReceiver(UNAUTHENTICATED)],
    ['http/protobuf', 'refuses', async () => ({ url: 'http://127.0.0.1:9', close: () => {} })],
    ['http/protobuf', 'accepts connections and hangs', blackHole],
    ['http/protobuf', 'answers 500', () => receiver(500)],
  ])(
    '%s: one that %s is named, holds up close() no longer than it may, and the process ends',
    async (protocol, _how, open) => {
      const backend = await open()
      onTestFinished(backend.close)
      const sent = await exporting(protocol, backend.url)
      const closed = said(sent, 'closed')
      expect(closed?.ms).toBeLessThan(4_000)
      expect(closed).toMatchObject({ status: { state: 'closed' } })
      expect(sent.stderr()).toMatch(/spans do not reach|not every span reached/)
      expect(sent.stderr()).toMatch(/log lines do not reach|not every log line reached/)
      // stdout has every line all the same
      expect(sent.lines.map(({ message }) => message)).toEqual([
        ...['written inside', 'worker.draining', 'worker.stopped', 'closed', 'ended'],
      ])
      expect(said(sent, 'ended')?.ms).toBeLessThan(4_000)
      expect((await sent.ended).code).toBe(0)
    },
  )
})
