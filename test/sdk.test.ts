// start(): what it registers, where spans go, what it says when something is missing, and that it always ends.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { propagation, ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api'
import { Registry } from 'prom-client'
import { TaskspanError } from 'taskspan'
import { render } from 'taskspan/metrics'
import { type Sdk, type StartOptions, start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'
import { recordSpans } from 'taskspan/testing'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'

let sdk: Sdk | undefined
const open = (options: StartOptions = { app: 'shop', worker: 'render' }): Sdk => {
  sdk = start(options)
  return sdk
}

let warnings: string[]
beforeEach(() => {
  warnings = []
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(String(warning)))
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) vi.stubEnv(name, undefined)
})
afterEach(async () => {
  await sdk?.close({ flushMs: 100 })
  sdk = undefined
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

const emit = (name: string): string => {
  const span = trace.getTracer('test').startSpan(name)
  span.end()
  return span.spanContext().traceId
}

/** What is written to stderr from now on. */
function stderr(): () => string {
  let text = ''
  vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    text += String(chunk)
    return true
  })
  return () => text
}

interface Collector {
  readonly url: string
  readonly requests: { path: string; headers: IncomingHttpHeaders; body: OtlpBody }[]
  readonly spanNames: () => string[]
}

interface OtlpBody {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] }
    scopeSpans: { spans: { name: string }[] }[]
  }[]
}

/** An OTLP backend; `status` decides what it answers. */
async function collector(status: () => number = () => 200): Promise<Collector> {
  const requests: Collector['requests'] = []
  const server = createHttpServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    requests.push({ path: request.url ?? '', headers: request.headers, body: JSON.parse(text) as OtlpBody })
    response.writeHead(status()).end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const spans = (body: OtlpBody) => body.resourceSpans.flatMap((one) => one.scopeSpans.flatMap((scope) => scope.spans))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    spanNames: () => requests.flatMap(({ body }) => spans(body).map((span) => span.name)),
  }
}

/** A backend that accepts connections and never answers. */
async function blackHole(): Promise<string> {
  const sockets = new Set<{ destroy(): void }>()
  const server = createServer((socket) => sockets.add(socket.on('error', () => {})))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function resourceSent(options: StartOptions): Promise<Record<string, string | undefined>> {
  const { url, requests } = await collector()
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', url)
  open(options)
  emit('one')
  await sdk?.close()
  const attributes = requests[0]?.body.resourceSpans[0]?.resource.attributes ?? []
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]))
}

describe('who it says this process is', () => {
  it('is <app>-<worker>, also when OTEL_SERVICE_NAME is set', async () => {
    vi.stubEnv('OTEL_SERVICE_NAME', 'from-env')
    expect(
      await resourceSent({ app: 'shop', worker: 'render', version: '1.2.3', environment: 'staging' }),
    ).toMatchObject({
      'service.name': 'shop-render',
      'service.version': '1.2.3',
      'deployment.environment.name': 'staging',
      'service.instance.id': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'telemetry.sdk.language': 'nodejs',
    })
  })

  it('takes OTEL_SERVICE_NAME for the app when none is given', async () => {
    vi.stubEnv('OTEL_SERVICE_NAME', 'shop')
    expect(open({ worker: 'scheduler' }).status().service).toBe('shop-scheduler')
    await sdk?.close()
    expect(open({}).status().service).toBe('shop')
    await sdk?.close()
    vi.stubEnv('OTEL_SERVICE_NAME', '')
    expect(open({}).status().service).toBe('unknown_service')
    await sdk?.close()
    vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'service.name=named')
    expect(open({ worker: 'api' }).status().service).toBe('named-api')
  })

  it('takes everything else from OTEL_RESOURCE_ATTRIBUTES, decoded, unless the code says it', async () => {
    vi.stubEnv(
      'OTEL_RESOURCE_ATTRIBUTES',
      'service.name=env,service.version=9,deployment.environment.name=prod,team=a%2Cb,bad=%zz,=x,service.instance.id=i1',
    )
    const resource = await resourceSent({ app: 'shop', worker: 'render', version: '1.2.3' })
    expect(resource).toMatchObject({
      'service.name': 'shop-render',
      'service.version': '1.2.3',
      'deployment.environment.name': 'prod',
      'service.instance.id': 'i1',
      team: 'a,b',
    })
    expect(resource).not.toHaveProperty('bad')
  })

  it('is told to metrics too', async () => {
    open({ app: 'shop', worker: 'render', version: '1.2.3', environment: 'staging' })
    const registry = new Registry()
    telemetry({ registry, logging: false })
    expect((await render(registry)).body).toContain(
      'taskiq_worker_info{app="shop",worker="render",service_name="shop-render",version="1.2.3",environment="staging"} 1',
    )
  })
})

describe('where spans go', () => {
  it('sends them as OTLP over HTTP with the headers of the environment', async () => {
    const { url, requests, spanNames } = await collector()
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', url)
    vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'x-tenant=acme')
    open()
    emit('one')
    emit('two')
    expect(await sdk?.flush()).toBe(true)
    expect(spanNames()).toEqual(['one', 'two'])
    expect(requests[0]).toMatchObject({ path: '/v1/traces', headers: { 'x-tenant': 'acme' } })
    expect(sdk?.status()).toMatchObject({
      state: 'running',
      destinations: [{ name: 'otlp', target: `${url}/v1/traces`, delivered: 2, failed: 0 }],
      problems: [],
    })
  })

  it('takes an endpoint for traces alone as it is', async () => {
    const { url, requests } = await collector()
    vi.stubEnv('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', `${url}/custom`)
    open()
    emit('one')
    await sdk?.flush()
    expect(requests.map(({ path }) => path)).toEqual(['/custom'])
  })

  it('draws them on stderr when no endpoint is set', async () => {
    const written = stderr()
    open()
    const traceId = emit('one')
    expect(await sdk?.flush()).toBe(true)
    expect(written()).toMatch(new RegExp(`^trace ${traceId} {2}1 span .*shop-render\n.*\none .*━`))
    expect(sdk?.status().destinations).toMatchObject([{ name: 'console', target: 'stderr', delivered: 1 }])
  })

  it('draws a trace by itself once its spans have ended and it is quiet, with what came late', async () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const written = stderr()
    open()
    const tracer = trace.getTracer('test')
    const root = tracer.startSpan('request')
    const below = trace.setSpan(ROOT_CONTEXT, root)
    tracer.startSpan('inside', {}, below).end()
    vi.advanceTimersByTime(10_000)
    expect(written()).toBe('')
    root.end()
    vi.advanceTimersByTime(400)
    const late = tracer.startSpan('task', {}, below)
    vi.advanceTimersByTime(10_000)
    late.end()
    expect(written()).toBe('')
    vi.advanceTimersByTime(600)
    expect(written()).toMatch(/3 spans[\s\S]*request[\s\S]*├─ inside[\s\S]*└─ task/)
  })

  it('names what a link leads to when both are drawn', async () => {
    const written = stderr()
    open()
    const tracer = trace.getTracer('test')
    const tick = tracer.startSpan('tick')
    tick.end()
    tracer.startSpan('task', { links: [{ context: tick.spanContext() }] }).end()
    await sdk?.flush()
    expect(written()).toContain(`↗ linked to tick in trace ${tick.spanContext().traceId}`)
  })

  it('keeps at most 100 open traces and 500 spans of each, and says what it did not keep', async () => {
    const written = stderr()
    open()
    const tracer = trace.getTracer('test')
    const first = tracer.startSpan('first')
    const below = trace.setSpan(ROOT_CONTEXT, first)
    for (let n = 0; n < 510; n++) tracer.startSpan('child', {}, below).end()
    for (let n = 0; n < 100; n++) tracer.startSpan('left open')
    expect(written()).toMatch(/500 spans[\s\S]*… 10 more spans were not kept/)
    expect(sdk?.status().destinations).toMatchObject([{ delivered: 500, failed: 10 }])
  })

  it('does both, or none, when OTEL_TRACES_EXPORTER says so', async () => {
    const { url, spanNames } = await collector()
    const written = stderr()
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', url)
    vi.stubEnv('OTEL_TRACES_EXPORTER', 'console, otlp')
    open()
    emit('one')
    await sdk?.close()
    expect(spanNames()).toEqual(['one'])
    expect(written()).toContain('one')
    vi.stubEnv('OTEL_TRACES_EXPORTER', 'none')
    open()
    emit('two')
    await sdk?.close()
    expect(written()).not.toContain('two')
    expect(spanNames()).toEqual(['one'])
    await sdk?.close()
    vi.stubEnv('OTEL_TRACES_EXPORTER', ',')
    expect(open().status().destinations).toMatchObject([{ name: 'otlp' }])
    await sdk?.close()
    vi.stubEnv('OTEL_TRACES_EXPORTER', 'zipkin')
    expect(open().status()).toMatchObject({
      state: 'running',
      problems: ["no spans go to 'zipkin': start() knows otlp, console and none"],
    })
  })

  it('samples as OTEL_TRACES_SAMPLER says', async () => {
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'traceidratio')
    vi.stubEnv('OTEL_TRACES_SAMPLER_ARG', '0')
    open()
    expect(trace.getTracer('test').startSpan('one').spanContext().traceFlags).toBe(TraceFlags.NONE)
  })
})

describe('context', () => {
  const fields = async (propagators?: string): Promise<string[]> => {
    vi.stubEnv('OTEL_PROPAGATORS', propagators)
    open()
    const found = propagation.fields()
    await sdk?.close()
    return found
  }

  it('is active across awaits, at once', async () => {
    open()
    stderr()
    await trace.getTracer('test').startActiveSpan('outer', async (outer) => {
      await new Promise(setImmediate)
      expect(trace.getActiveSpan()).toBe(outer)
      outer.end()
    })
  })

  it('travels as W3C trace context and baggage, or as OTEL_PROPAGATORS says', async () => {
    expect(await fields()).toEqual(['traceparent', 'tracestate', 'baggage'])
    expect(await fields('tracecontext')).toEqual(['traceparent', 'tracestate'])
    expect(await fields('b3')).toEqual(['b3'])
    expect(await fields('tracecontext,b3multi')).toContain('x-b3-traceid')
    expect(await fields('none')).toEqual([])
    expect(warnings).toEqual([])
  })

  it('travels with the propagators that it knows, and names those it does not', async () => {
    expect(await fields('tracecontext,jaeger')).toEqual(['traceparent', 'tracestate'])
    expect(warnings).toEqual([expect.stringMatching(/OTEL_PROPAGATORS names jaeger.*knows tracecontext, baggage, b3/)])
  })
})

describe('beside others', () => {
  it('adds nothing and closes nothing when an SDK is registered', async () => {
    const spans = recordSpans()
    onTestFinished(() => spans.close())
    const written = stderr()
    expect(open().status()).toMatchObject({ state: 'foreign', service: 'shop-render', destinations: [] })
    await sdk?.close()
    emit('still recorded')
    expect(spans.outline()).toBe('still recorded')
    expect(await sdk?.flush()).toBe(true)
    expect(written()).toBe('')
  })

  it('does nothing with OTEL_SDK_DISABLED', async () => {
    vi.stubEnv('OTEL_SDK_DISABLED', 'TRUE')
    expect(open().status().state).toBe('disabled')
    expect(trace.getTracer('test').startSpan('one').isRecording()).toBe(false)
    await sdk?.ready()
  })

  it('can be started again after it was closed', async () => {
    const written = stderr()
    const first = open()
    await first.close()
    expect(first.status().state).toBe('closed')
    expect(trace.getTracer('test').startSpan('between').isRecording()).toBe(false)
    await using second = open()
    emit('second')
    await second.close()
    expect(written()).toContain('second')
  })

  it('leaves no listener on the process', async () => {
    const count = () => process.eventNames().map((name) => [name, process.listenerCount(name)])
    const before = count()
    open()
    expect(count()).toEqual(before)
  })
})

describe('options', () => {
  it('are checked: unknown keys and empty names throw', () => {
    expect(() => start({ service: 'x' } as never)).toThrow(expect.objectContaining({ code: 'UNKNOWN_OPTION' }))
    expect(() => start({ app: ' ' })).toThrow(TaskspanError)
    expect(() => start({ worker: 7 as never })).toThrow(/'worker' must be a string that is not empty, got 7/)
    expect(trace.getTracer('test').startSpan('one').isRecording()).toBe(false)
  })
})

describe('a standard variable with a value that counts for nothing', () => {
  it.each([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'user:secret@host:4318'],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'localhost:4318'],
    ['OTEL_EXPORTER_OTLP_LOGS_ENDPOINT', 'ftp://host'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization: secret'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'x-token=secret100%'],
    ['OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE', '/no/such/file.pem'],
    ['OTEL_EXPORTER_OTLP_CLIENT_KEY', '-----BEGIN PRIVATE KEY-----\nsecret'],
    ['OTEL_EXPORTER_OTLP_COMPRESSION', 'zip'],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', '10s'],
    ['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', '0'],
    ['OTEL_BSP_MAX_QUEUE_SIZE', '0'],
    ['OTEL_BSP_MAX_EXPORT_BATCH_SIZE', '1.5'],
    ['OTEL_BLRP_SCHEDULE_DELAY', '-1'],
    ['OTEL_SPAN_EVENT_COUNT_LIMIT', 'many'],
    ['OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT', '0'],
    ['OTEL_RESOURCE_ATTRIBUTES', 'a=1,b'],
    ['OTEL_RESOURCE_ATTRIBUTES', 'service.version=100%'],
    ['OTEL_TRACES_SAMPLER', 'sometimes'],
    ['OTEL_TRACES_SAMPLER_ARG', '10%'],
    ['OTEL_SDK_DISABLED', 'yes'],
    ['OTEL_LOG_LEVEL', 'loud'],
    ['LOG_LEVEL', 'loud'],
  ])('%s=%s is named, with what it must be, and never with a credential', (name, value) => {
    vi.stubEnv('OTEL_TRACES_EXPORTER', 'none')
    vi.stubEnv(name, value)
    expect(open().status()).toMatchObject({ state: 'running', problems: [expect.stringContaining(`${name} must be `)] })
    expect(warnings).toHaveLength(1)
    expect(warnings.join()).not.toContain('secret')
  })

  it.each(['0', '-1', '0.5', 'many'])('harms nothing and loses nothing: batches of %s spans', async (size) => {
    const { url, spanNames } = await collector()
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', url)
    vi.stubEnv('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', size)
    vi.stubEnv('OTEL_BSP_MAX_QUEUE_SIZE', '0')
    open()
    emit('one')
    expect(await sdk?.flush()).toBe(true)
    expect(spanNames()).toEqual(['one'])
  })

  it('is none of these', async () => {
    vi.stubEnv('OTEL_TRACES_EXPORTER', 'none')
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', 'https://user:secret@host/otlp')
    vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'authorization=Basic%20c2VjcmV0==, x-tenant=acme,')
    vi.stubEnv('OTEL_EXPORTER_OTLP_COMPRESSION', 'gzip')
    vi.stubEnv('OTEL_EXPORTER_OTLP_TIMEOUT', '2500')
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'parentbased_traceidratio')
    vi.stubEnv('OTEL_TRACES_SAMPLER_ARG', '0.25')
    vi.stubEnv('OTEL_SDK_DISABLED', 'False')
    vi.stubEnv('OTEL_LOG_LEVEL', 'NONE')
    expect(open().status().problems).toEqual([])
    await sdk?.close()
    vi.stubEnv('OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc')
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4317')
    expect(open().status().problems).toEqual([])
  })
})

describe('a backend that does not work', () => {
  it('is named once, without credentials, and counted', async () => {
    let answer = 399
    const { url } = await collector(() => ++answer)
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', url.replace('//', '//user:secret@'))
    open()
    emit('one')
    expect(await sdk?.flush()).toBe(false)
    emit('two')
    expect(await sdk?.flush()).toBe(false)
    expect(warnings).toEqual([expect.stringContaining(`spans do not reach ${url}/v1/traces (400 Bad Request)`)])
    expect(sdk?.status().destinations).toMatchObject([{ delivered: 0, failed: 2, lastError: '401 Unauthorized' }])
    expect(JSON.stringify([sdk?.status(), warnings])).not.toContain('secret')
  })

  it('holds up close() for no longer than its grace', async () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', await blackHole())
    open()
    emit('one')
    const before = performance.now()
    await Promise.all([sdk?.close({ flushMs: 50 }), sdk?.close({ flushMs: 60_000 })])
    expect(performance.now() - before).toBeLessThan(2_000)
    expect(sdk?.status()).toMatchObject({
      state: 'closed',
      problems: [expect.stringMatching(/not every span reached http:.* within 50 ms/)],
    })
  })

  it('is given no more than waits for it; what is over is said once, and counted as failed', async () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', await blackHole())
    vi.stubEnv('OTEL_BSP_MAX_QUEUE_SIZE', '10')
    const registry = new Registry()
    telemetry({ registry, logging: false })
    open()
    for (let n = 0; n < 100; n++) emit('one')
    const [destination] = sdk?.status().destinations ?? []
    // One batch may have left the queue, and hang.
    expect(destination?.failed).toBeGreaterThanOrEqual(80)
    expect(destination?.failed).toBeLessThanOrEqual(90)
    expect(destination?.lastError).toBe('no room')
    expect(warnings).toEqual([expect.stringMatching(/10 spans wait for http:.*; what comes on top of them is lost/)])
    expect((await render(registry)).body).toMatch(/telemetry_errors_total\{part="sdk",reason="overflow"\} [89]\d/)
  })

  it('takes a wrong grace for none given: close() never rejects, and never waits without end', async () => {
    for (const flushMs of [-1, Number.NaN, '1', null, Number.POSITIVE_INFINITY]) {
      vi.stubEnv('OTEL_TRACES_EXPORTER', 'none')
      open()
      await sdk?.close({ flushMs: flushMs as number })
      expect(sdk?.status()).toMatchObject({ state: 'closed', problems: [] })
    }
    await expect(open().close(null as never)).resolves.toBeUndefined()
  })

  it.each(['x', 'http://[', 'ftp://127.0.0.1'])('harms nothing when the endpoint is %s', async (endpoint) => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', endpoint)
    vi.stubEnv('OTEL_EXPORTER_OTLP_TIMEOUT', '50')
    open()
    emit('one')
    await sdk?.close({ flushMs: 200 })
    expect(sdk?.status().state).toBe('closed')
  })
})

// A process of its own with only some packages installed: each as a link, so that nothing else is found by accident.
describe('in a process', { timeout: 60_000 }, () => {
  const root = resolve(import.meta.dirname, '..')
  const loader = join(root, 'node_modules/tsx/dist/loader.mjs')

  async function project(packages: string[], code: string): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'taskspan-sdk-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await cp(join(root, 'src'), join(folder, 'src'), { recursive: true })
    for (const name of ['@opentelemetry/api', ...packages]) {
      const link = join(folder, 'node_modules', name)
      await mkdir(dirname(link), { recursive: true })
      await symlink(join(root, 'node_modules', name), link)
    }
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    await writeFile(
      join(folder, 'app.ts'),
      `import { trace } from '@opentelemetry/api'
       import { start } from './src/sdk/index.ts'
       const sdk = start({ app: 'shop', worker: 'render' })
       trace.getTracer('test').startSpan('one').end()
       ${code}`,
    )
    return folder
  }

  async function run(folder: string, env: Record<string, string> = {}): Promise<{ stdout: string; stderr: string }> {
    const app = join(folder, 'app.ts')
    return promisify(execFile)(process.execPath, ['--import', loader, app], { env: { ...process.env, ...env } })
  }

  const report = 'await sdk.close({ flushMs: 300 }); console.log(JSON.stringify(sdk.status()))'

  it('needs nothing but what the user installed', async () => {
    const { url, spanNames } = await collector()
    const folder = await project(['@opentelemetry/sdk-trace-node', '@opentelemetry/exporter-trace-otlp-http'], report)
    const { stdout } = await run(folder, { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_PROPAGATORS: 'baggage' })
    expect(JSON.parse(stdout)).toMatchObject({ state: 'closed', problems: [] })
    expect(spanNames()).toEqual(['one'])
  })

  it('names missing packages with their install commands, and goes on', async () => {
    const bare = await run(await project([], report))
    expect(JSON.parse(bare.stdout)).toMatchObject({
      state: 'closed',
      service: 'shop-render',
      problems: [expect.stringMatching(/^tracing is off: .* npm install/)],
    })
    expect(bare.stderr).toContain('npm install @opentelemetry/sdk-trace-node')

    const folder = await project(['@opentelemetry/sdk-trace-node'], report)
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_PROPAGATORS: 'tracecontext,b3' }
    const { stderr, stdout } = await run(folder, env)
    expect(stderr).toContain('npm install @opentelemetry/exporter-trace-otlp-http')
    expect(stderr).toContain('npm install @opentelemetry/propagator-b3')
    expect(JSON.parse(stdout)).toMatchObject({ state: 'closed', destinations: [] })

    const proto = await run(folder, { ...env, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' })
    expect(proto.stderr).toContain('npm install @opentelemetry/exporter-trace-otlp-proto')
    const grpc = await run(folder, { ...env, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })
    expect(grpc.stderr).toContain('npm install @opentelemetry/exporter-trace-otlp-grpc')
  })

  it('takes the exporter that OTEL_EXPORTER_OTLP_PROTOCOL names, and gives gRPC nothing that is HTTP’s', async () => {
    const folder = await project(['@opentelemetry/sdk-trace-node'], report)
    // A stand-in: what matters here is which package is asked, with what.
    const name = '@opentelemetry/exporter-trace-otlp-grpc'
    await mkdir(join(folder, 'node_modules', name), { recursive: true })
    await writeFile(
      join(folder, 'node_modules', name, 'index.js'),
      `exports.OTLPTraceExporter = class {
         constructor(config) { this.keys = Object.keys(config) }
         export(spans, done) { console.error('sent', spans.length, this.keys.length); done({ code: 0 }) }
         async shutdown() {}
       }`,
    )
    const env = {
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:secret@127.0.0.1:4317',
    }
    const { stderr, stdout } = await run(folder, env)
    expect(stderr).toContain('sent 1 0')
    const destinations = [{ name: 'otlp', target: 'http://127.0.0.1:4317', delivered: 1 }]
    expect(JSON.parse(stdout)).toMatchObject({ problems: [], destinations })
  })

  it('lets it end soon after close(), also where the backend never answers or refuses', async () => {
    const folder = await project(
      ['@opentelemetry/sdk-trace-node', '@opentelemetry/exporter-trace-otlp-http'],
      `await sdk.close({ flushMs: Number(process.env.FLUSH_MS) })
       const closed = performance.now()
       process.on('exit', () => console.log(Math.round(performance.now() - closed)))`,
    )
    // Without any time the exporter has not even its agent when it is let go of.
    for (const [endpoint, FLUSH_MS] of [
      [await blackHole(), '100'],
      [await blackHole(), '0'],
      ['http://127.0.0.1:9', '100'],
    ] as const) {
      const { stdout } = await run(folder, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, FLUSH_MS })
      expect(Number(stdout)).toBeLessThan(4_000) // the exporter alone: 10,000
    }
  })

  it('survives that nobody reads its waterfalls any more, and counts what they had', async () => {
    const folder = await project(
      ['@opentelemetry/sdk-trace-node'],
      `await new Promise((resolve) => process.stdin.once('data', resolve))
       await sdk.flush()
       await new Promise((resolve) => setTimeout(resolve, 50))
       console.log(JSON.stringify([sdk.status().destinations, process.stderr.listenerCount('error')]))
       process.exit()`,
    )
    const running = promisify(execFile)(process.execPath, ['--import', loader, join(folder, 'app.ts')])
    running.child.stderr?.destroy()
    await once(running.child.stderr as NonNullable<typeof running.child.stderr>, 'close')
    running.child.stdin?.write('go')
    const [destinations, listeners] = JSON.parse((await running).stdout)
    expect(destinations).toMatchObject([{ delivered: 0, failed: 1, lastError: expect.stringContaining('EPIPE') }])
    expect(listeners).toBe(0)
  })

  it('gives the SDK a voice with OTEL_LOG_LEVEL until it is closed', async () => {
    const folder = await project(
      ['@opentelemetry/sdk-trace-node'],
      `const { diag } = await import('@opentelemetry/api')
       diag.error('first')
       await sdk.close()
       diag.error('second')`,
    )
    const quiet = { OTEL_TRACES_EXPORTER: 'none' }
    expect((await run(folder, { ...quiet, OTEL_LOG_LEVEL: 'error' })).stderr).toBe('first\n')
    expect((await run(folder, quiet)).stderr).toBe('')
  })

  it('opens and loads nothing when it is only imported', async () => {
    const folder = await project([], '')
    await writeFile(
      join(folder, 'app.ts'),
      `const open = () => process.getActiveResourcesInfo().filter((name) => !/Pipe|TTY|FS|Message/.test(name))
       const before = open() // what runs TypeScript here has some of its own
       await import('./src/sdk/index.ts')
       console.log(JSON.stringify({ before, after: open() }))`,
    )
    const { before, after } = JSON.parse((await run(folder)).stdout)
    expect(after).toEqual(before)
  })
})
