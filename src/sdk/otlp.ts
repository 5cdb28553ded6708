// OTLP: the SDK's own exporter, watched, and let go of in the end.
import type { Agent } from 'node:http'
import type { SpanExporter } from '@opentelemetry/sdk-trace-node'
import { fault } from '../kernel/faults.ts'
import type { Destination } from './exporters.ts'
import type { Problems } from './problems.ts'
import { endpoint, exporter as makeExporter } from './protocol.ts'

type SdkPackage = typeof import('@opentelemetry/sdk-trace-node')

type ExportResult = Parameters<Parameters<SpanExporter['export']>[1]>[0]

// ExportResultCode, of a package that is not ours to import.
const SUCCESS = 0
const FAILED = 1

/** @throws when no exporter is installed */
export function otlp(sdk: SdkPackage, problems: Problems): Destination {
  const agents = new Set<Agent>()
  const openAgent = async (protocol: string): Promise<Agent> => {
    const agent = await agentFor(protocol)
    agents.add(agent)
    if (released) close(agent) // it was asked for at the end, and comes after it
    return agent
  }
  const exporter = makeExporter(hasCertificates() ? {} : { httpAgentOptions: openAgent }, problems)
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

function hasCertificates(): boolean {
  return Object.keys(process.env).some((name) =>
    /^OTEL_EXPORTER_OTLP_(TRACES_)?(CLIENT_)?(CERTIFICATE|KEY)$/.test(name),
  )
}

// An agent of our own, loaded when it is needed, so that an HTTP instrumentation may still come first.
async function agentFor(protocol: string): Promise<Agent> {
  const { Agent } = await (protocol === 'http:' ? import('node:http') : import('node:https'))
  return new Agent({ keepAlive: true })
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

function reason(error: unknown): string {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown }
  return `${code === undefined ? '' : `${code} `}${message ?? 'no reason given'}`.slice(0, 200)
}
