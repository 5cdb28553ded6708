// docs/sdk.md: each recipe, as it stands there, against a receiver: path, headers, content type.
import { readFileSync } from 'node:fs'
import { trace } from '@opentelemetry/api'
import { logger } from 'taskspan/logging'
import { start } from 'taskspan/sdk'
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import { serviceNames } from './protobuf.ts'
import { receiver } from './receiver.ts'

const docs = readFileSync(new URL('../../docs/sdk.md', import.meta.url), 'utf8')

/** The variables of each recipe, by its heading. */
const recipes = new Map(
  docs
    .split(/^### /m)
    .slice(1)
    .flatMap((section) => {
      const block = /```sh\n([\s\S]*?)```/.exec(section)?.[1]
      const pairs = block?.trim().split('\n') ?? []
      const variables = pairs.map(
        (pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const,
      )
      return block === undefined ? [] : [[section.slice(0, section.indexOf('\n')), variables] as const]
    }),
)

beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) vi.stubEnv(name, undefined)
})
afterEach(() => void vi.unstubAllEnvs())

it('has a recipe for each of six', () => {
  expect([...recipes.keys()]).toEqual([
    'Logfire',
    'Grafana Cloud',
    'Grafana Tempo and Loki',
    'Better Stack',
    'Honeycomb',
    'Sentry',
  ])
})

it.each([
  ['Logfire', '', { authorization: 'your-write-token' }],
  ['Grafana Cloud', '/otlp', { authorization: 'Basic aW5zdGFuY2U6dG9rZW4=' }],
  ['Grafana Tempo and Loki', '', { 'x-scope-orgid': 'shop' }, '/otlp'],
  ['Better Stack', '', { authorization: 'Bearer your-source-token' }],
  ['Honeycomb', '', { 'x-honeycomb-team': 'your-api-key' }],
  ['Sentry', '/api/0/integration/otlp', { 'x-sentry-auth': 'sentry sentry_key=your-public-key' }],
])('%s gets spans and log lines below %s with its headers', async (name, base, headers, logsBase = base) => {
  const backend = await receiver()
  onTestFinished(backend.close)
  const variables = new Map(recipes.get(name))
  for (const [variable, value] of variables) {
    vi.stubEnv(variable, value.replace(/^https?:\/\/[^/]+/, backend.url))
  }
  const sdk = start({ app: 'shop', worker: 'render' })
  trace.getTracer('test').startSpan('one').end()
  logger({}, { write: () => {} } as unknown as NodeJS.WritableStream).info('a line')
  await sdk.close()
  expect(sdk.status().problems).toEqual([])
  const type = variables.get('OTEL_EXPORTER_OTLP_PROTOCOL') === 'http/protobuf' ? 'x-protobuf' : 'json'
  const expected = { headers: { ...headers, 'content-type': `application/${type}` } }
  const paths = backend.requests.map(({ path }) => path).sort()
  expect(paths).toEqual([`${logsBase}/v1/logs`, `${base}/v1/traces`].sort())
  for (const request of backend.requests) expect(request).toMatchObject(expected)
  const bodies = backend.requests.map(({ body }) => body)
  const services = type === 'json' ? [...backend.services(), backend.logs()[0]?.service] : bodies.flatMap(serviceNames)
  expect(services).toEqual(['shop-render', 'shop-render'])
})
