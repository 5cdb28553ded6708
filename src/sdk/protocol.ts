// OTEL_EXPORTER_OTLP_PROTOCOL: which exporter sends spans or log lines, and where it says that they go.
import { guard } from '../kernel/faults.ts'
import { env } from './environment.ts'
import { load, MissingPackage } from './packages.ts'
import type { Problems } from './problems.ts'

export type Signal = 'traces' | 'logs'

export interface ExportResult {
  readonly code: number
  readonly error?: Error
}

export interface Exporter<Item> {
  export(items: Item[], done: (result: ExportResult) => void): void
  forceFlush?(): Promise<void>
  shutdown(): Promise<void>
}

type TracePackage = typeof import('@opentelemetry/exporter-trace-otlp-http')
type Config = ConstructorParameters<TracePackage['OTLPTraceExporter']>[0]

const PACKAGES: Readonly<Record<Signal, Readonly<Record<string, string>>>> = {
  traces: {
    'http/json': '@opentelemetry/exporter-trace-otlp-http',
    'http/protobuf': '@opentelemetry/exporter-trace-otlp-proto',
    grpc: '@opentelemetry/exporter-trace-otlp-grpc',
  },
  logs: {
    'http/json': '@opentelemetry/exporter-logs-otlp-http',
    'http/protobuf': '@opentelemetry/exporter-logs-otlp-proto',
    grpc: '@opentelemetry/exporter-logs-otlp-grpc',
  },
}

const CLASSES: Readonly<Record<Signal, string>> = { traces: 'OTLPTraceExporter', logs: 'OTLPLogExporter' }

type Exports<Item> = Readonly<Record<string, new (config: Config) => Exporter<Item>>>

/** A variable of this signal alone goes before the one for all. */
export const otlpEnv = (signal: Signal, name: string): string | undefined =>
  env(`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_${name}`) ?? env(`OTEL_EXPORTER_OTLP_${name}`)

/**
 * Endpoint, headers, time-out, compression and certificates the exporters read from the environment themselves.
 *
 * @param http what an exporter over HTTP is given besides
 * @throws when the package is not installed
 */
export function exporter<Item>(signal: Signal, http: Config, problems: Problems): Exporter<Item> {
  const protocol = protocolOf(signal, problems)
  const exported = protocol === undefined ? either<Item>(signal) : load<Exports<Item>>(PACKAGES[signal][protocol] ?? '')
  const Class = exported[CLASSES[signal]]
  if (Class === undefined) throw new Error(`the exporter for ${signal} has no ${CLASSES[signal]}`)
  if (protocol !== 'grpc') return new Class(http)
  // It would be loaded with the first export, which may be the last one too: then close() would stand still for it.
  guard('sdk', 'grpc', () =>
    load('@grpc/grpc-js', PACKAGES[signal].grpc ?? '', '@opentelemetry/otlp-grpc-exporter-base'),
  )
  return new Class({})
}

function protocolOf(signal: Signal, problems: Problems): string | undefined {
  const protocol = otlpEnv(signal, 'PROTOCOL')
  if (protocol === undefined || Object.hasOwn(PACKAGES[signal], protocol)) return protocol
  const known = Object.keys(PACKAGES[signal]).join(', ')
  problems.add('protocol', `the OTLP protocol '${protocol}' is not one of ${known}; ${signal} go over HTTP instead`)
  return undefined
}

/** Over HTTP, whichever is installed; JSON where both are. */
function either<Item>(signal: Signal): Exports<Item> {
  const { 'http/json': json = '', 'http/protobuf': protobuf = '' } = PACKAGES[signal]
  try {
    return load<Exports<Item>>(json)
  } catch (error) {
    if (!(error instanceof MissingPackage)) throw error
    try {
      return load<Exports<Item>>(protobuf)
    } catch {
      throw error
    }
  }
}

/** The URL without credentials. */
export function endpoint(signal: Signal): string {
  const isGrpc = otlpEnv(signal, 'PROTOCOL') === 'grpc'
  const base = env('OTEL_EXPORTER_OTLP_ENDPOINT') ?? `http://localhost:${isGrpc ? 4317 : 4318}`
  const own = env(`OTEL_EXPORTER_OTLP_${signal.toUpperCase()}_ENDPOINT`)
  const url = own ?? (isGrpc ? base : `${base.replace(/\/$/, '')}/v1/${signal}`)
  // gRPC takes `host:port` too, which URL would read as a scheme.
  const full = isGrpc && !url.includes('://') ? `grpc://${url}` : url
  if (!URL.canParse(full)) return 'the given endpoint, which is no URL'
  const { protocol, host, pathname } = new URL(full)
  return `${protocol}//${host}${isGrpc ? '' : pathname}`
}
