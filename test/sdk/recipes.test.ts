// docs/sdk.md: each recipe, as it stands there, against a receiver: path, headers, content type.
import { readFileSync } from 'node:fs'
import { trace } from '@opentelemetry/api'
import { start } from 'taskspan/sdk'
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import { receiver } from './receiver.ts'

const docs = readFileSync(new URL('../../docs/sdk.md', import.meta.url), 'utf8')

/** The variables of each recipe, by its heading. */
const recipes = new Map(
  docs.split(/^### /m).flatMap((section) => {
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
    'Grafana Tempo',
    'Better Stack',
    'Honeycomb',
    'Sentry',
  ])
})

it.each([
  ['Logfire', '/v1/traces', { authorization: 'your-write-token' }],
  ['Grafana Cloud', '/otlp/v1/traces', { authorization: 'Basic aW5zdGFuY2U6dG9rZW4=' }],
  ['Grafana Tempo', '/v1/traces', { 'x-scope-orgid': 'shop' }],
  ['Better Stack', '/v1/traces', { authorization: 'Bearer your-source-token' }],
  ['Honeycomb', '/v1/traces', { 'x-honeycomb-team': 'your-api-key' }],
  ['Sentry', '/api/0/integration/otlp/v1/traces', { 'x-sentry-auth': 'sentry sentry_key=your-public-key' }],
])('%s gets spans at %s with its headers', async (name, path, headers) => {
  const backend = await receiver()
  onTestFinished(backend.close)
  for (const [variable, value] of recipes.get(name) ?? []) {
    if (variable.endsWith('PROTOCOL')) {
      expect(['http/json', 'http/protobuf']).toContain(value)
      // The exporter for protobuf is no dependency of these tests: it shares all but the encoding.
      vi.stubEnv(variable, 'http/json')
    } else vi.stubEnv(variable, value.replace(/^https?:\/\/[^/]+/, backend.url))
  }
  const sdk = start({ app: 'shop', worker: 'render' })
  trace.getTracer('test').startSpan('one').end()
  await sdk.close()
  expect(sdk.status().problems).toEqual([])
  expect(backend.requests).toHaveLength(1)
  expect(backend.requests[0]).toMatchObject({ path, headers: { ...headers, 'content-type': 'application/json' } })
  expect(backend.services()).toEqual(['shop-render'])
})
