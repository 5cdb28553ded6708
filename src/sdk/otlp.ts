// OTLP over HTTP: the SDK's own exporter, watched, and let go of in the end.
import type { Agent } from 'node:http'
import type { SpanExporter } from '@opentelemetry/sdk-trace-node'
import { fault } from '../kernel/faults.ts'
import { env } from './environment.ts'
import type { Destination } from './exporters.ts'
import { load, MissingPackage } from './packages.ts'
import type { Problems } from './problems.ts'

type SdkPackage = typeof import('@opentelemetry/sdk-trace-node')
type OtlpPackage = typeof import('@opentelemetry/exporter-trace-otlp-http')

type ExportResult = Parameters<Parameters<SpanExporter['export']>[1]>[0]

// ExportResultCode, of a package that is not ours to import.
const SUCCESS = 0
const FAILED = 1

const JSON_PACKAGE = '@opentelemetry/exporter-trace-otlp-http'
const PROTO_PACKAGE = '@opentelemetry/exporter-trace-otlp-proto'

/** @throws when no exporter is installed */
export function otlp(sdk: SdkPackage, problems: Problems): Destination {
  const agents = new Set<Agent>()
  // Endpoint, headers, time-out, compression and certificates the exporter reads from the environment itself.
  const exporter: SpanExporter = new (loadExporter(problems).OTLPTraceExporter)(
    hasCertificates() ? {} : { httpAgentOptions: (protocol) => openAgent(protocol, agents) },
  )
  const target = endpoint()
  const inFlight = new Set<Promise<boolean>>()
  let delivered = 0
  let failed = 0
  let lastError: string | undefined
  let released = false

  const watched: SpanExporter = {
    export(spans, done) {
      const sent = new Promise<ExportResult>((resolve) => {
        try {
          exporter.export(spans, resolve)
        } catch (error) {
          resolve({ code: FAILED, error: error as Error })
        }
      }).then((result) => {
        if (result.code === SUCCESS) delivered += spans.length
        else giveUp(spans.length, result.error)
        done(result)
        return result.code === SUCCESS
      })
      inFlight.add(sent)
      void sent.finally(() => inFlight.delete(sent))
    },
    shutdown: () => exporter.shutdown(),
  }
  function giveUp(spans: number, error: unknown): void {
    lastError = reason(error)
    // Said once: a backend that is down would else say it with every batch, and close() has said it already.
    if (failed > 0 || released) fault('sdk', 'export', error)
    else problems.add('export', `spans do not reach ${target} (${lastError}); those that fail are lost`, error)
    failed += spans
  }
  return {
    processor: new sdk.BatchSpanProcessor(watched),
    status: () => ({ name: 'otlp', target, delivered, failed, lastError }),
    settled: async () => (await Promise.all(inFlight)).every(Boolean),
    release: () => {
      released = true
      for (const agent of agents) close(agent)
    },
  }
}

function loadExporter(problems: Problems): OtlpPackage {
  const protocol = env('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ?? env('OTEL_EXPORTER_OTLP_PROTOCOL')
  if (protocol === 'http/protobuf') return load<OtlpPackage>(PROTO_PACKAGE)
  if (protocol === 'http/json') return load<OtlpPackage>(JSON_PACKAGE)
  if (protocol !== undefined) {
    problems.add('protocol', `the OTLP protocol '${protocol}' is not supported; spans go over HTTP instead`)
  }
  try {
    return load<OtlpPackage>(JSON_PACKAGE)
  } catch (error) {
    if (!(error instanceof MissingPackage)) throw error
    try {
      return load<OtlpPackage>(PROTO_PACKAGE)
    } catch {
      throw error
    }
  }
}

function hasCertificates(): boolean {
  return Object.keys(process.env).some((name) =>
    /^OTEL_EXPORTER_OTLP_(TRACES_)?(CLIENT_)?(CERTIFICATE|KEY)$/.test(name),
  )
}

// An agent of our own, loaded when it is needed, so that an HTTP instrumentation may still come first.
async function openAgent(protocol: string, agents: Set<Agent>): Promise<Agent> {
  const { Agent } = await (protocol === 'http:' ? import('node:http') : import('node:https'))
  const agent: Agent = new Agent({ keepAlive: true })
  agents.add(agent)
  return agent
}

// An exporter that was shut down goes on retrying for seconds and keeps the process alive. An error without a network
// code ends its retries: open requests get it now, the next attempt gets it from the agent.
function close(agent: Agent): void {
  const closed = new Error('closed')
  ;(agent as unknown as { createConnection: () => never }).createConnection = () => {
    throw closed
  }
  for (const sockets of Object.values(agent.sockets)) for (const socket of sockets ?? []) socket.destroy(closed)
  agent.destroy()
}

function endpoint(): string {
  const base = env('OTEL_EXPORTER_OTLP_ENDPOINT') ?? 'http://localhost:4318'
  const url = env('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? `${base.replace(/\/$/, '')}/v1/traces`
  if (!URL.canParse(url)) return 'the given endpoint, which is no URL'
  const { protocol, host, pathname } = new URL(url)
  return `${protocol}//${host}${pathname}`
}

function reason(error: unknown): string {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  return `${code === undefined ? '' : `${code} `}${message ?? 'no reason given'}`.slice(0, 200)
}
