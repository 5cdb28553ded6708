// The instrumentations of OpenTelemetry that start() knows: their packages, their libraries, and what they are told.
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Span, TracerProvider } from '@opentelemetry/api'
import type { AmqplibInstrumentationConfig } from '@opentelemetry/instrumentation-amqplib'
import type { HttpInstrumentationConfig } from '@opentelemetry/instrumentation-http'
import type { IORedisInstrumentationConfig } from '@opentelemetry/instrumentation-ioredis'
import type { MySQL2InstrumentationConfig } from '@opentelemetry/instrumentation-mysql2'
import type { OpenAIInstrumentationConfig } from '@opentelemetry/instrumentation-openai'
import type { PgInstrumentationConfig } from '@opentelemetry/instrumentation-pg'
import type { RedisInstrumentationConfig } from '@opentelemetry/instrumentation-redis'
import type { UndiciInstrumentationConfig } from '@opentelemetry/instrumentation-undici'
import { maskMysql, maskPath, maskPostgres, maskQuery } from './mask.ts'
import type { Subject } from './switches.ts'

/** As much of an instrumentation as is used here. */
export interface Instrumentation {
  setConfig(config: object): void
  setTracerProvider(provider: TracerProvider): void
  enable(): void
  disable(): void
}

export interface Known {
  readonly subjects: readonly Subject[]
  readonly package: string
  /** The class in it. */
  readonly name: string
  /** What it instruments; none where that is a part of Node. */
  readonly libraries: readonly string[]
  /** The library has a build of ES modules beside that of CommonJS. */
  readonly isDual?: boolean
  /** @param isOn whether the subject is on */
  config(isOn: (subject: Subject) => boolean): object
}

export const KNOWN: readonly Known[] = [
  {
    subjects: ['HTTP_CLIENT', 'HTTP_SERVER'],
    package: '@opentelemetry/instrumentation-http',
    name: 'HttpInstrumentation',
    libraries: [],
    config: (isOn) =>
      ({
        disableOutgoingRequestInstrumentation: !isOn('HTTP_CLIENT'),
        disableIncomingRequestInstrumentation: !isOn('HTTP_SERVER'),
        requestHook: maskRequest,
      }) satisfies HttpInstrumentationConfig,
  },
  {
    subjects: ['HTTP_CLIENT'],
    package: '@opentelemetry/instrumentation-undici',
    name: 'UndiciInstrumentation',
    libraries: [],
    config: () =>
      ({
        startSpanHook: ({ origin, path }) => {
          const { search } = new URL(path, origin)
          return search === ''
            ? {}
            : { 'url.full': maskPath(new URL(path, origin).href), 'url.query': maskQuery(search) }
        },
      }) satisfies UndiciInstrumentationConfig,
  },
  {
    subjects: ['SQL'],
    package: '@opentelemetry/instrumentation-pg',
    name: 'PgInstrumentation',
    libraries: ['pg', 'pg-pool'],
    config: () =>
      ({
        enhancedDatabaseReporting: false,
        ignoreConnectSpans: true,
        requestHook: (span, { query }) => void span.setAttribute('db.query.text', maskPostgres(query.text)),
      }) satisfies PgInstrumentationConfig,
  },
  {
    subjects: ['SQL'],
    package: '@opentelemetry/instrumentation-mysql2',
    name: 'MySQL2Instrumentation',
    libraries: ['mysql2'],
    config: () => ({ maskStatement: true, maskStatementHook: maskMysql }) satisfies MySQL2InstrumentationConfig,
  },
  {
    subjects: ['GENAI'],
    package: '@opentelemetry/instrumentation-openai',
    name: 'OpenAIInstrumentation',
    libraries: ['openai'],
    isDual: true,
    config: () => ({ captureMessageContent: false }) satisfies OpenAIInstrumentationConfig,
  },
  {
    subjects: ['REDIS'],
    package: '@opentelemetry/instrumentation-ioredis',
    name: 'IORedisInstrumentation',
    libraries: ['ioredis'],
    config: () => ({ dbStatementSerializer: (command) => command }) satisfies IORedisInstrumentationConfig,
  },
  {
    subjects: ['REDIS'],
    package: '@opentelemetry/instrumentation-redis',
    name: 'RedisInstrumentation',
    libraries: ['redis', '@redis/client'],
    config: () => ({ dbStatementSerializer: (command) => command }) satisfies RedisInstrumentationConfig,
  },
  {
    subjects: ['AMQP'],
    package: '@opentelemetry/instrumentation-amqplib',
    name: 'AmqplibInstrumentation',
    libraries: ['amqplib'],
    config: () => ({}) satisfies AmqplibInstrumentationConfig,
  },
]

function maskRequest(span: Span, request: ClientRequest | IncomingMessage): void {
  if ('getHeader' in request) {
    if (!request.path.includes('?')) return
    const host = request.getHeader('host') ?? request.host
    span.setAttribute('url.full', `${request.protocol}//${host}${maskPath(request.path)}`)
  } else {
    const at = request.url?.indexOf('?') ?? -1
    if (at >= 0) span.setAttribute('url.query', maskQuery(request.url?.slice(at) ?? '').slice(1))
  }
}
