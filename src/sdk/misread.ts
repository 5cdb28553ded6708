// Standard variables with a value that the SDK passes over in silence: spans then go nowhere, or are not what was asked for.
import { existsSync } from 'node:fs'
import { env } from './environment.ts'
import type { Problems } from './problems.ts'

interface Variable {
  readonly name: string
  readonly is: (value: string) => boolean
  readonly expected: string
  /** Its value may hold a credential. */
  readonly isSecret?: boolean
}

/** Names each of them. What exporters and propagators there are is told by those who look for them. */
export function nameMisread(problems: Problems): void {
  for (const { name, is, expected, isSecret } of VARIABLES) {
    const value = env(name)
    if (value === undefined || is(value)) continue
    const shown = isSecret ? '' : `, got '${value.slice(0, 80)}'`
    problems.add('variable', `${name} must be ${expected}${shown}`)
  }
}

const oneOf = (name: string, ...values: readonly string[]): Variable => ({
  ...{ name, is: (value) => values.includes(value), expected: `one of ${values.join(', ')}` },
})
const pairs = (name: string, isSecret: boolean): Variable => ({
  ...{ name, isSecret, expected: 'key=value,key=value, percent-encoded' },
  is: (value) =>
    value.split(',').every((pair) => pair.trim() === '' || (pair.trim().indexOf('=') > 0 && decodes(pair))),
})
// Somebody may have given the key itself.
const file = (name: string): Variable => ({
  ...{ name, expected: 'the path of a file that can be read', isSecret: name.endsWith('KEY') },
  is: (value) => existsSync(value),
})
const whole = (name: string, least: number): Variable => ({
  name,
  is: (value) => Number.isSafeInteger(Number(value)) && Number(value) >= least,
  expected: `a whole number from ${least}`,
})

function decodes(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

const isGrpc = (): boolean =>
  ['', 'TRACES_', 'LOGS_'].some((signal) => env(`OTEL_EXPORTER_OTLP_${signal}PROTOCOL`) === 'grpc')

// gRPC takes `host:port` as well, which over HTTP would be read as a scheme.
function isEndpoint(value: string): boolean {
  if (isGrpc()) return URL.canParse(value.includes('://') ? value : `grpc://${value}`)
  return /^https?:\/\//i.test(value) && URL.canParse(value)
}

const ofSignal = (signal: string): readonly Variable[] => [
  { name: `${signal}ENDPOINT`, is: isEndpoint, expected: 'a URL that begins with http:// or https://', isSecret: true },
  pairs(`${signal}HEADERS`, true),
  oneOf(`${signal}COMPRESSION`, 'gzip', 'none'),
  whole(`${signal}TIMEOUT`, 1),
  ...['CERTIFICATE', 'CLIENT_CERTIFICATE', 'CLIENT_KEY'].map((what) => file(`${signal}${what}`)),
]
const ofBatches = (processor: string): readonly Variable[] => [
  ...['MAX_QUEUE_SIZE', 'MAX_EXPORT_BATCH_SIZE', 'EXPORT_TIMEOUT'].map((limit) => whole(`${processor}_${limit}`, 1)),
  whole(`${processor}_SCHEDULE_DELAY`, 0),
]
const OF_SPANS = ['ATTRIBUTE', 'EVENT', 'LINK', 'ATTRIBUTE_PER_EVENT', 'ATTRIBUTE_PER_LINK']
const SAMPLERS = ['always_on', 'always_off', 'traceidratio']
const LEVELS = ['none', 'error', 'warn', 'info', 'debug', 'verbose', 'all']

const SPELLINGS = ['trace', 'warn', 'fatal', 'silent']
const LINES = ['debug', 'info', 'warning', 'error', 'critical']

const VARIABLES: readonly Variable[] = [
  { ...oneOf('LOG_LEVEL', ...LINES), is: (value) => [...LINES, ...SPELLINGS].includes(value.toLowerCase()) },
  { ...oneOf('OTEL_SDK_DISABLED', 'true', 'false'), is: (value) => /^(true|false)$/i.test(value) },
  ...['', 'TRACES_', 'LOGS_'].flatMap((signal) => ofSignal(`OTEL_EXPORTER_OTLP_${signal}`)),
  ...['OTEL_BSP', 'OTEL_BLRP'].flatMap(ofBatches),
  ...OF_SPANS.map((what) => whole(`OTEL_SPAN_${what}_COUNT_LIMIT`, 0)),
  whole('OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', 1),
  pairs('OTEL_RESOURCE_ATTRIBUTES', false),
  oneOf('OTEL_TRACES_SAMPLER', ...SAMPLERS, ...SAMPLERS.map((name) => `parentbased_${name}`)),
  {
    name: 'OTEL_TRACES_SAMPLER_ARG',
    is: (value) => Number(value) >= 0 && Number(value) <= 1,
    expected: 'a number from 0 to 1',
  },
  { ...oneOf('OTEL_LOG_LEVEL', ...LEVELS), is: (value) => LEVELS.includes(value.toLowerCase()) },
]
