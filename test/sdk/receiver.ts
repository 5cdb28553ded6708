// An OTLP backend for tests: keeps what it is sent, and answers, refuses or hangs as it is told.
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'

interface Attribute {
  readonly key: string
  readonly value: { readonly stringValue?: string }
}

export interface OtlpLog {
  readonly timeUnixNano: string
  readonly severityNumber: number
  readonly severityText: string
  readonly body: { readonly stringValue?: string }
  readonly attributes: readonly Attribute[]
  readonly traceId?: string
  readonly spanId?: string
}

interface ResourceLogs {
  readonly resource: { readonly attributes: readonly Attribute[] }
  readonly scopeLogs: readonly { readonly logRecords: readonly OtlpLog[] }[]
}

interface ResourceSpans {
  readonly resource: { readonly attributes: readonly Attribute[] }
  readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[]
}

export interface OtlpSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes: readonly Attribute[]
}

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Receiver {
  readonly url: string
  readonly requests: Received[]
  /** The spans that came as JSON. */
  spans(): OtlpSpan[]
  /** The log records that came as JSON, with the service that wrote them. */
  logs(): (OtlpLog & { readonly service: string | undefined })[]
  /** The `service.name` of each resource that came as JSON. */
  services(): string[]
  close(): void
}

export async function receiver(status = 200): Promise<Receiver> {
  const requests: Received[] = []
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    requests.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(parts) })
    response.writeHead(status).end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const resources = (): ResourceSpans[] =>
    requests.flatMap(
      ({ body }) => (JSON.parse(body.toString()) as { resourceSpans?: ResourceSpans[] }).resourceSpans ?? [],
    )
  const logged = (): ResourceLogs[] =>
    requests.flatMap(
      ({ body }) => (JSON.parse(body.toString()) as { resourceLogs?: ResourceLogs[] }).resourceLogs ?? [],
    )
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    spans: () => resources().flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
    logs: () =>
      logged().flatMap(({ resource, scopeLogs }) =>
        scopeLogs.flatMap(({ logRecords }) =>
          logRecords.map((record) => ({ ...record, service: text(resource.attributes, 'service.name') })),
        ),
      ),
    services: () => resources().map(({ resource }) => text(resource.attributes, 'service.name') ?? ''),
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

export function text(attributes: readonly Attribute[], key: string): string | undefined {
  return attributes.find((attribute) => attribute.key === key)?.value.stringValue
}

/** Accepts connections and never answers. */
export async function blackHole(): Promise<{ readonly url: string; close(): void }> {
  const sockets = new Set<{ destroy(): void }>()
  const server = createTcpServer((socket) => sockets.add(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = (): void => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close }
}
