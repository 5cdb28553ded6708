// OTEL_EXPORTER_OTLP_PROTOCOL: which exporter sends the spans, and where it says that they go.
import type { SpanExporter } from '@opentelemetry/sdk-trace-node'
import { env } from './environment.ts'
import { load, MissingPackage } from './packages.ts'
import type { Problems } from './problems.ts'

type OtlpPackage = typeof import('@opentelemetry/exporter-trace-otlp-http')
type Config = ConstructorParameters<OtlpPackage['OTLPTraceExporter']>[0]

const JSON_PACKAGE = '@opentelemetry/exporter-trace-otlp-http'
const PROTO_PACKAGE = '@opentelemetry/exporter-trace-otlp-proto'
const GRPC_PACKAGE = '@opentelemetry/exporter-trace-otlp-grpc'

const PACKAGES: Readonly<Record<string, string>> = {
  'http/json': JSON_PACKAGE,
  'http/protobuf': PROTO_PACKAGE,
  grpc: GRPC_PACKAGE,
}

const wanted = (): string | undefined => env('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ?? env('OTEL_EXPORTER_OTLP_PROTOCOL')

/**
 * Endpoint, headers, time-out, compression and certificates the exporters read from the environment themselves.
 *
 * @param http what an exporter over HTTP is given besides
 * @throws when the package is not installed
 */
export function exporter(http: Config, problems: Problems): SpanExporter {
  const name = packageOf(problems)
  const { OTLPTraceExporter } = name === undefined ? either() : load<OtlpPackage>(name)
  return new OTLPTraceExporter(name === GRPC_PACKAGE ? {} : http)
}

function packageOf(problems: Problems): string | undefined {
  const protocol = wanted()
  if (protocol === undefined) return undefined
  const name = Object.hasOwn(PACKAGES, protocol) ? PACKAGES[protocol] : undefined
  if (name === undefined) {
    const known = Object.keys(PACKAGES).join(', ')
    problems.add('protocol', `the OTLP protocol '${protocol}' is not one of ${known}; spans go over HTTP instead`)
  }
  return name
}

/** Over HTTP, whichever is installed; JSON where both are. */
function either(): OtlpPackage {
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

/** The URL without credentials. */
export function endpoint(): string {
  const isGrpc = wanted() === 'grpc'
  const base = env('OTEL_EXPORTER_OTLP_ENDPOINT') ?? `http://localhost:${isGrpc ? 4317 : 4318}`
  const url = env('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? (isGrpc ? base : `${base.replace(/\/$/, '')}/v1/traces`)
  // gRPC takes `host:port` too, which URL would read as a scheme.
  const full = isGrpc && !url.includes('://') ? `grpc://${url}` : url
  if (!URL.canParse(full)) return 'the given endpoint, which is no URL'
  const { protocol, host, pathname } = new URL(full)
  return `${protocol}//${host}${isGrpc ? '' : pathname}`
}
