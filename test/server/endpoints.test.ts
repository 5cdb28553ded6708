// Each endpoint with something to show: what it says, what it hides, and what it says when its source is missing.
import { setTimeout } from 'node:timers/promises'
import { SpanKind, trace } from '@opentelemetry/api'
import { pino } from 'pino'
import { log } from 'taskspan/logging'
import { pipeline } from 'taskspan/pipeline'
import { start } from 'taskspan/sdk'
import { service } from 'taskspan/spans'
import { telemetry } from 'taskspan/telemetry'
import { fakeBroker, recordLogs, recordMetrics } from 'taskspan/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { record } from '../support/record.ts'
import { AUTHORIZED, ask, open, post, TOKEN } from './client.ts'

/** A promise and what resolves it. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

/** For what comes soon, but on a busy machine not at once. */
const patience = { timeout: 10_000, interval: 10 }

describe('/metrics', () => {
  it('renders the registry in the format that is asked for, in any order', async () => {
    const { t } = await record()
    const served = await open({ telemetry: t })
    const broker = fakeBroker(t)
    broker.consume('clips', () => {})
    broker.deliver('clips', { name: 'render_clip' })
    await broker.settled(1)
    const openMetrics = { headers: { accept: 'application/openmetrics-text; version=1.0.0' } }
    for (const init of [openMetrics, {}, openMetrics]) {
      const { status, headers, text } = await ask(served, '/metrics', init)
      expect(status).toBe(200)
      expect(text).toContain('taskiq_tasks_total{queue="clips",task_name="render_clip"')
      expect(headers.get('content-type')).toContain(init === openMetrics ? 'openmetrics' : 'text/plain')
      expect(text.includes('# EOF')).toBe(init === openMetrics)
      expect(text.includes('trace_id=')).toBe(init === openMetrics)
    }
  })

  it('is answered to HEAD without its body', async () => {
    const served = await open()
    const { status, text, headers } = await ask(served, '/metrics', { method: 'HEAD' })
    expect({ status, text }).toEqual({ status: 200, text: '' })
    expect(Number(headers.get('content-length'))).toBeGreaterThan(0)
  })

  it('says what is missing where there are none', async () => {
    const served = await open({ telemetry: telemetry({ metrics: false, logging: false }) })
    const { status, json } = await ask(served, '/metrics')
    expect(status).toBe(404)
    expect(json.error).toMatchObject({ code: 'source_missing', help: expect.stringContaining('metrics: false') })
  })
})

describe('errors', () => {
  it('have one envelope, with the ids of the caller', async () => {
    const served = await open()
    const traceId = '4db45fffbafb08773229a78af764c4ff'
    const headers = { 'x-request-id': 'r-81', traceparent: `00-${traceId}-aae47d9b52afae8f-01` }
    expect((await ask(served, '/nothing', { headers })).json).toEqual({
      error: {
        ...{ code: 'not_found', message: 'There is nothing at this path.', request_id: 'r-81', trace_id: traceId },
        ...{ details: {}, help: expect.stringContaining('/metrics') },
      },
    })
    const { error } = (await ask(served, '/nothing', { headers: { 'x-request-id': '<script>' } })).json
    expect(error).toMatchObject({ request_id: expect.stringMatching(/^[0-9a-f-]{36}$/), trace_id: null })
  })

  it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('%s is not a method of these paths', async (method) => {
    const served = await open({ debug: true })
    for (const path of ['/metrics', '/health', '/ready', '/debug/status']) {
      const { status, headers, json } = await ask(served, path, { method })
      expect(status, path).toBe(405)
      expect(headers.get('allow')).toBe('GET, HEAD')
      expect(json.error.code).toBe('method_not_allowed')
    }
  })

  it('that are our own fault are counted and say nothing of their cause', async () => {
    const { t, faults } = await record()
    const broken = {
      status: () => ({ state: 'running' }),
      snapshot: () => Promise.reject(new Error('secret')) as never,
    }
    Object.assign(broken, {
      snapshot() {
        throw new Error('secret')
      },
    })
    const served = await open({ telemetry: t, debug: true, watch: broken })
    const { status, text } = await ask(served, '/debug/queue')
    expect(status).toBe(500)
    expect(text).not.toContain('secret')
    expect(await faults()).toBe(1)
  })
})

describe('/debug', () => {
  it('is off unless enabled', async () => {
    const served = await open()
    for (const path of ['/debug', '/debug/status', '/debug/logs', '/debug/traces/x']) {
      const { status, json } = await ask(served, path)
      expect(status).toBe(404)
      expect(json.error.code).toBe('debug_off')
    }
  })

  it('keeps nothing before it is enabled, and lets go of everything when the server closes', async () => {
    const { t } = await record()
    const broker = fakeBroker(t)
    broker.consume('clips', () => log().info('rendering'))
    const run = async (n: number) => {
      broker.deliver('clips', { name: 'render_clip' })
      await broker.settled(n)
    }
    const kept = () => [t.recent.lastOutcomes(), t.recent.spans(), t.recent.lines()].map((all) => all?.length)
    const plain = await open({ telemetry: t })
    await run(1)
    expect(kept()).toEqual([0, 0, 0])
    await plain.close()
    const served = await open({ telemetry: t, debug: true })
    await run(2)
    expect(kept()).toEqual([1, 1, 4]) // the server's own line, and three of the task
    await served.close()
    await run(3)
    expect(kept()).toEqual([0, 0, 0])
  })

  it('/status shows who this is, what runs, which step of which pipeline, and how the last ones ended', async () => {
    const { t, spans } = await record()
    const served = await open({
      telemetry: t,
      debug: true,
      sdk: { status: () => ({ state: 'running', service: 'x' }) },
    })
    const [inStep, release] = [gate(), gate()]
    const analysis = pipeline<object>('analysis', t)
      .step('download', () => 'file')
      .step('transcribe', ['download'], async ({ progress }) => {
        progress(3, 10)
        inStep.open()
        await release.opened
      })
    const broker = fakeBroker(t)
    broker.consume('clips', (message) =>
      message.name === 'analyse' ? analysis.run({}, { id: 'run-1' }) : Promise.reject(new RangeError('no')),
    )
    broker.deliver('clips', { name: 'broken', id: 'm-1' })
    await broker.settled(1)
    broker.deliver('clips', { name: 'analyse', id: 'm-2' })
    await inStep.opened

    const { json } = await ask(served, '/debug/status')
    expect(json).toMatchObject({
      worker: { app: expect.any(String), worker: expect.any(String), service: expect.any(String) },
      ...{ version: expect.any(String), draining: false, running_total: 1, sdk: { state: 'running' } },
      running: [
        {
          ...{ task: 'analyse', queue: 'clips', id: 'm-2', attempt: 1, elapsed_ms: expect.any(Number) },
          ...{ pipeline: 'analysis', run_id: 'run-1', progress: { completed: 1, total: 2 } },
          steps: [{ step: 'transcribe', attempt: 1, elapsed_ms: expect.any(Number) }],
        },
      ],
      last_outcomes: [
        {
          ...{ task: 'broken', queue: 'clips', id: 'm-1', attempt: 1, outcome: 'failure', error_type: 'RangeError' },
          ...{ duration_ms: expect.any(Number), trace_id: spans.one('taskiq.broken').traceId },
        },
      ],
    })
    expect((await ask(served, '/debug/workflow')).json).toEqual({
      runs: [
        {
          ...{ pipeline: 'analysis', run_id: 'run-1', outcome: 'running', task: 'analyse' },
          ...{ trace_id: expect.any(String), started_at: expect.any(String), elapsed_ms: expect.any(Number) },
          ...{ steps_total: 2, steps_completed: 1 },
          steps: [
            { step: 'download', state: 'success', attempt: 1, duration_ms: expect.any(Number) },
            {
              ...{ step: 'transcribe', state: 'running', attempt: 1, duration_ms: expect.any(Number) },
              progress: { value: 3, total: 10 },
            },
          ],
        },
      ],
    })

    release.open()
    await broker.settled(2)
    expect((await ask(served, '/debug/status')).json).toMatchObject({
      running: [],
      last_outcomes: [{ task: 'analyse', outcome: 'success' }, { task: 'broken' }],
    })
    expect((await ask(served, '/debug/workflow')).json.runs).toMatchObject([
      { outcome: 'success', steps_completed: 2, steps: [{ state: 'success' }, { state: 'success' }] },
    ])
  })

  it('/status shows tasks that ran without a handler, or were lost', async () => {
    const { t } = await record()
    const served = await open({ telemetry: t, debug: true })
    const { createTask } = await import('../../src/kernel/create-task.ts')
    const task = createTask('task', { name: 'render_clip', queue: 'clips', attempt: 2 })
    t.notice?.({ kind: 'lost', task, final: false })
    t.notice?.({ kind: 'failed', task, error: new RangeError('x') })
    expect((await ask(served, '/debug/status')).json.last_outcomes).toMatchObject([
      { task: 'render_clip', attempt: 2, outcome: 'failure', error_type: 'RangeError' },
      { task: 'render_clip', attempt: 2, outcome: 'lost' },
    ])
  })

  it('/queue, /schedules and /connections show what watch() has seen, without credentials', async () => {
    const snapshot = {
      queues: [{ queue: 'render', waiting: 3, consumers: 2 }],
      schedules: [{ schedule: 'nightly', next_run: '2026-11-22T03:00:00.000Z' }],
      connections: [{ url: 'amqp://guest:secret@mq:5672', state: 'connected', password: 'secret' }],
    }
    const served = await open({ debug: true, watch: { snapshot: () => snapshot } })
    expect((await ask(served, '/debug/queue')).json).toEqual({ queues: snapshot.queues })
    expect((await ask(served, '/debug/schedules')).json).toEqual({ schedules: snapshot.schedules })
    expect((await ask(served, '/debug/connections')).json).toEqual({
      connections: [{ url: 'amqp://***@mq:5672', state: 'connected', password: '[REDACTED]' }],
    })
  })

  it.each(['/debug/queue', '/debug/schedules', '/debug/connections'])(
    '%s says that watch() is missing',
    async (path) => {
      const served = await open({ debug: true })
      const { status, json } = await ask(served, path)
      expect(status).toBe(404)
      expect(json.error).toMatchObject({ code: 'source_missing', help: expect.stringContaining('watch') })
    },
  )

  it('/memory shows heap, RSS, the limit and the lag of the event loop since it was last asked', async () => {
    const served = await open({ debug: true })
    const { json } = await vi.waitFor(async () => {
      await setTimeout(100) // what measures must have looked once before
      const busy = performance.now() + 150
      while (performance.now() < busy);
      const reply = await ask(served, '/debug/memory')
      expect(reply.json.event_loop_lag_ms.max).toBeGreaterThan(80)
      return reply
    }, patience)
    expect(json.rss_bytes).toBeGreaterThan(json.heap_used_bytes)
    expect(json.limit_bytes === null || json.limit_bytes > json.rss_bytes).toBe(true)
    expect(json.heap_limit_bytes).toBeGreaterThan(json.heap_total_bytes)
    await vi.waitFor(async () => {
      const later = (await ask(served, '/debug/memory')).json.event_loop_lag_ms.max
      expect(later).toBeLessThan(json.event_loop_lag_ms.max)
    }, patience)
  })

  it('/logs shows the last lines of a level, redacted', async () => {
    const logs = recordLogs()
    const t = telemetry({ registry: recordMetrics().registry, logger: logs.logger })
    const served = await open({ telemetry: t, debug: true })
    log().debug({ n: 1 }, 'first')
    log().warn({ password: 'secret', url: 'redis://me:secret@host' }, 'second')
    log().child({ part: 'x' }).error('third')
    const messages = async (query: string) =>
      (await ask(served, `/debug/logs${query}`)).json.lines.map((line: { message: string }) => line.message)
    expect(await messages('')).toEqual(['server.listening', 'first', 'second', 'third'])
    expect(await messages('?lines=2')).toEqual(['second', 'third'])
    expect(await messages('?level=warning')).toEqual(['second', 'third'])
    expect(await messages('?level=error&lines=1000')).toEqual(['third'])
    expect((await ask(served, '/debug/logs?level=warning')).json.lines[0]).toMatchObject({
      ...{ level: 'warning', password: '[REDACTED]', url: 'redis://***@host' },
    })
    for (const query of ['?lines=0', '?lines=1001', '?lines=x', '?lines=-1', '?level=loud']) {
      expect((await ask(served, `/debug/logs${query}`)).json.error.code, query).toBe('invalid_request')
    }
  })

  it('/logs keeps a bounded number of lines', async () => {
    const t = telemetry({ registry: recordMetrics().registry, logger: recordLogs().logger })
    const served = await open({ telemetry: t, debug: true })
    for (let n = 0; n < 1_500; n++) log().info({ n }, 'line')
    expect(t.recent.lines()).toHaveLength(1_000)
    const { lines } = (await ask(served, '/debug/logs?lines=1000')).json
    expect(lines).toHaveLength(1_000)
    expect([lines[0].n, lines.at(-1).n]).toEqual([500, 1_499])
  })

  it("/logs reads a pino of the user's, whose levels are numbers", async () => {
    const logs = recordLogs()
    const t = telemetry({ registry: recordMetrics().registry, logger: pino({ level: 'debug' }, logs.destination) })
    const served = await open({ telemetry: t, debug: true })
    log().info('first')
    log().warn('second')
    const { lines } = (await ask(served, '/debug/logs?level=warning')).json
    expect(lines.map(({ msg }: { msg: string }) => msg)).toEqual(['second'])
  })

  it('/logs says what is missing where nothing is logged', async () => {
    const served = await open({ telemetry: telemetry({ metrics: false, logging: false }), debug: { token: TOKEN } })
    expect((await ask(served, '/debug/logs')).json.error.code).toBe('source_missing')
    expect((await post(served, '/debug/log-level', { level: 'debug' })).json.error.code).toBe('source_missing')
  })

  it('/traces shows the spans as OTLP writes them', async () => {
    const { t, spans } = await record()
    const served = await open({ telemetry: t, debug: true })
    const broker = fakeBroker(t)
    const attributes = { user_id: 'u-1', count: 3, ratio: 0.5, done: true, tags: ['a'], api_key: 'secret' }
    broker.consume('clips', () =>
      service('credits.reserve', { ...attributes, url: 'redis://me:secret@host' }, () => {
        throw new RangeError('no')
      }),
    )
    broker.send('clips', { name: 'render_clip' })
    await broker.settled(1)
    const [task, send, call] = ['taskiq.render_clip', 'send clips', 'credits.reserve'].map((name) => spans.one(name))
    const { json } = await ask(served, `/debug/traces/${task?.traceId}`)
    const [{ resource, scopeSpans }] = json.resourceSpans
    expect(json.resourceSpans).toHaveLength(1)
    expect(resource.attributes).toContainEqual({ key: 'service.name', value: { stringValue: expect.any(String) } })
    expect(scopeSpans).toMatchObject([{ scope: { name: 'taskspan', version: expect.any(String) } }])
    const found = Object.fromEntries(scopeSpans[0].spans.map((span: { name: string }) => [span.name, span]))
    expect(found['send clips']).toMatchObject({ kind: SpanKind.PRODUCER + 1, parentSpanId: '', status: { code: 0 } })
    expect(found['taskiq.render_clip']).toMatchObject({ parentSpanId: send?.spanId, spanId: task?.spanId })
    const span = found['credits.reserve']
    expect(span).toMatchObject({
      ...{ traceId: task?.traceId, parentSpanId: task?.spanId, kind: 1, status: { code: 2, message: 'no' } },
      ...{ startTimeUnixNano: expect.stringMatching(/^\d{19}$/), events: [{ name: 'exception' }] },
    })
    expect(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)).toBeGreaterThan(0n)
    expect(Number(span.startTimeUnixNano) / 1e6).toBeCloseTo(call?.startedAt ?? 0, 0)
    expect(span.attributes).toEqual(
      expect.arrayContaining([
        { key: 'user_id', value: { stringValue: 'u-1' } },
        { key: 'count', value: { intValue: '3' } },
        { key: 'ratio', value: { doubleValue: 0.5 } },
        { key: 'done', value: { boolValue: true } },
        { key: 'tags', value: { arrayValue: { values: [{ stringValue: 'a' }] } } },
        { key: 'api_key', value: { stringValue: '[REDACTED]' } },
        { key: 'url', value: { stringValue: 'redis://***@host' } },
      ]),
    )
  })

  it('/traces shows the spans of others too, each once, where start() runs, and keeps none before it is opened', async () => {
    vi.stubEnv('OTEL_TRACES_EXPORTER', 'none')
    onTestFinished(() => void vi.unstubAllEnvs())
    const t = telemetry({ registry: recordMetrics().registry, logger: recordLogs().logger })
    const sdk = start({ app: 'shop', worker: 'render' })
    onTestFinished(() => sdk.close())
    const theirs = (name: string) => trace.getTracer('pg').startActiveSpan(name, (span) => span.end())
    theirs('too early')
    const served = await open({ telemetry: t, sdk, debug: true })
    const broker = fakeBroker(t)
    broker.consume('clips', () => theirs('SELECT'))
    broker.send('clips', { name: 'render_clip' })
    await broker.settled(1)
    const { scopeSpans } = (await ask(served, '/debug/traces')).json.resourceSpans[0]
    const names = (at: number) => scopeSpans[at].spans.map(({ name }: { name: string }) => name)
    expect(scopeSpans.map(({ scope }: { scope: { name: string } }) => scope.name)).toEqual(['taskspan', 'pg'])
    expect([names(0), names(1)]).toEqual([['send clips', 'taskiq.render_clip'], ['SELECT']])
    expect(t.recent.spans()).toHaveLength(3)
  })

  it('/traces shows the latest, and says that a trace is not kept', async () => {
    const { t, spans } = await record()
    const served = await open({ telemetry: t, debug: true })
    for (let n = 0; n < 3; n++) service(`calls.${['a', 'b', 'c'][n] as 'a'}`, { id: n }, () => {})
    const names = async (query: string) => {
      const { resourceSpans } = (await ask(served, `/debug/traces${query}`)).json
      return resourceSpans.flatMap((resource: { scopeSpans: { spans: { name: string }[] }[] }) =>
        resource.scopeSpans.flatMap((scope) => scope.spans.map(({ name }) => name)),
      )
    }
    expect(await names('')).toEqual(['calls.a', 'calls.b', 'calls.c'])
    expect(await names('?limit=2')).toEqual(['calls.b', 'calls.c'])
    expect(await names(`/${spans.one('calls.a').traceId}`)).toEqual(['calls.a'])
    expect(await ask(served, `/debug/traces/${'a'.repeat(32)}`)).toMatchObject({
      status: 404,
      json: { error: { code: 'trace_unknown' } },
    })
    expect((await ask(served, '/debug/traces/xyz')).json.error.code).toBe('invalid_request')
  })

  it('/traces keeps a bounded number of bytes', async () => {
    const { t } = await record()
    await open({ telemetry: t, debug: true })
    for (let n = 0; n < 2_500; n++) service('calls.small', { id: n }, () => {})
    expect(t.recent.spans()).toHaveLength(2_000)
    for (let n = 0; n < 600; n++) {
      const large = Object.fromEntries(Array.from({ length: 5 }, (_, at) => [`key_${at}`, 'x'.repeat(4_000)]))
      service('calls.large', { id: n, ...large }, () => {})
    }
    expect(t.recent.spans().length).toBeLessThan(250)
  })

  it('/config shows what is in force, from the code and the environment, without credentials', async () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', 'https://me:secret@otlp.example/v1?api_key=secret')
    vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'authorization=Bearer%20secret')
    vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'team=video,api_key=secret')
    vi.stubEnv('TASKSPAN_DEBUG_TOKEN', 'secret')
    vi.stubEnv('DATABASE_URL', 'postgres://me:secret@db')
    onTestFinished(() => void vi.unstubAllEnvs())
    const { t } = await record({ correlation: ['request_id'], labels: { tier: () => 'gold' }, slowAfterMs: 5_000 })
    const served = await open({ telemetry: t, debug: true, checks: { redis: () => {} } })
    const { json, text } = await ask(served, '/debug/config')
    expect(text).not.toContain('secret')
    expect(json).toMatchObject({
      telemetry: {
        ...{ prefix: 'taskiq', tracing: true, metrics: true, logging: true, correlation: ['request_id'] },
        ...{ labels: { tier: '(function)' }, slowAfterMs: 5_000, registry: '(Registry)' },
      },
      server: {
        ...{ address: served.address, checks: ['redis'], check_timeout_ms: 2_000 },
        debug: { sections: [], hosts: [], has_token: true },
      },
      environment: {
        OTEL_EXPORTER_OTLP_ENDPOINT: 'https://***@otlp.example/v1?…',
        OTEL_EXPORTER_OTLP_HEADERS: '[REDACTED]',
        OTEL_RESOURCE_ATTRIBUTES: 'team=video,api_key=[REDACTED]',
        TASKSPAN_DEBUG_TOKEN: '[REDACTED]',
      },
    })
    expect(json.environment.DATABASE_URL).toBe(undefined)
  })
})

describe('POST /debug/log-level', () => {
  it('changes the level for a time, then puts it back', async () => {
    const logs = recordLogs()
    logs.logger.level = 'info'
    const t = telemetry({ registry: recordMetrics().registry, logger: logs.logger })
    const served = await open({ telemetry: t, debug: { token: TOKEN } })
    log().debug('unseen')
    const { status, json } = await post(served, '/debug/log-level', { level: 'debug', ttl_s: 0.3 })
    expect(status).toBe(200)
    expect(json).toEqual({ level: 'debug', previous: 'info', reverts_at: expect.stringMatching(/^20.*Z$/) })
    log().debug('seen')
    logs.logger.debug('also seen')
    await vi.waitFor(() => expect(log().level).toBe('info'), patience)
    log().debug('unseen again')
    expect(logs.logger.level).toBe('info')
    expect(logs.lines.map(({ message }) => message)).toEqual(['server.listening', 'seen', 'also seen'])
  })

  it('puts back what stood before the first of two, and at the latest when the server closes', async () => {
    const logs = recordLogs()
    logs.logger.level = 'info'
    const t = telemetry({ registry: recordMetrics().registry, logger: logs.logger })
    const served = await open({ telemetry: t, debug: { token: TOKEN } })
    await post(served, '/debug/log-level', { level: 'debug', ttl_s: 60 })
    const { json } = await post(served, '/debug/log-level', { level: 'warning' })
    expect(json).toMatchObject({ level: 'warning', previous: 'info' })
    expect(log().level).toBe('warn')
    await served.close()
    expect([log().level, logs.logger.level]).toEqual(['info', 'info'])
  })

  it('refuses what is no level, no time, no JSON, or too large', async () => {
    const served = await open({ debug: { token: TOKEN } })
    const bad = [
      {},
      { level: 'loud' },
      { level: 'debug', ttl_s: 0 },
      { level: 'debug', ttl_s: 3_601 },
      [],
      'debug',
      null,
    ]
    for (const body of [...bad, { level: 'debug', ttl_s: 'x' }]) {
      const { status, json } = await post(served, '/debug/log-level', body)
      expect([status, json.error.code], JSON.stringify(body)).toEqual([400, 'invalid_request'])
    }
    const init = (body: string) => ({ method: 'POST', headers: AUTHORIZED, body })
    expect((await ask(served, '/debug/log-level', init('{'))).status).toBe(400)
    expect((await ask(served, '/debug/log-level', init(`{"level":"${'x'.repeat(5_000)}"}`))).status).toBe(413)
    expect((await ask(served, '/debug/log-level')).headers.get('allow')).toBe('POST')
  })
})

describe('POST /debug/profile', () => {
  it('gives a CPU profile, one at a time', async () => {
    const served = await open({ debug: { token: TOKEN } })
    // Its headers come when it runs. So long that the second request comes in time, however busy the machine is.
    const first = await fetch(`${served.address}/debug/profile?seconds=3`, { method: 'POST', headers: AUTHORIZED })
    const second = await post(served, '/debug/profile?seconds=1')
    expect(second).toMatchObject({ status: 409, json: { error: { code: 'profile_running' } } })
    expect(first.status).toBe(200)
    expect(first.headers.get('content-disposition')).toContain('.cpuprofile')
    const { nodes, startTime, endTime } = (await first.json()) as Record<string, unknown>
    expect(nodes).not.toEqual([])
    expect(Number(endTime) - Number(startTime)).toBeGreaterThan(2_900_000)
  })

  it('ends when nobody waits for it any more, and when the server closes', async () => {
    const served = await open({ debug: { token: TOKEN } })
    const controller = new AbortController()
    const response = await fetch(`${served.address}/debug/profile?seconds=60`, {
      ...{ method: 'POST', headers: AUTHORIZED, signal: controller.signal },
    })
    expect(response.status).toBe(200) // it runs
    controller.abort()
    const second = await vi.waitFor(async () => {
      const next = await fetch(`${served.address}/debug/profile?seconds=60`, { method: 'POST', headers: AUTHORIZED })
      expect(next.status).toBe(200)
      return next
    }, patience)
    await served.close()
    expect(((await second.json()) as { nodes: unknown[] }).nodes.length).toBeGreaterThan(0)
  })

  it('takes a minute at most', async () => {
    const served = await open({ debug: { token: TOKEN } })
    for (const seconds of ['61', '0', '-1', 'x', '1e3']) {
      expect((await post(served, `/debug/profile?seconds=${seconds}`)).status, seconds).toBe(400)
    }
  })
})

describe('sections of the user', () => {
  it('are shown with what they are asked for, and without credentials at any depth', async () => {
    const deep = { a: { b: { c: { d: { e: { f: { g: { token: 'secret', total_tokens: 5 } } } } } } } }
    const artifacts = (query: Readonly<Record<string, string>>) => ({ query, deep, url: 'redis://me:secret@host' })
    const served = await open({ debug: { sections: { artifacts } } })
    const { status, text, json } = await ask(served, '/debug/artifacts?clip=7&__proto__=x')
    expect(status).toBe(200)
    expect(json.query.clip).toBe('7')
    expect(json.url).toBe('redis://***@host')
    expect(text).toContain('"token":"[REDACTED]","total_tokens":5')
  })

  it('that throw, hang, are too large or no JSON are refused, and the others go on', async () => {
    const circular: Record<string, unknown> = {}
    circular.self = circular
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const served = await open({
      debug: {
        sections: {
          throws: () => {
            throw new RangeError('at redis://me:secret@host')
          },
          hangs: () => new Promise(() => {}),
          large: () => Array.from({ length: 1_000_000 }, (_, n) => ({ n })),
          circular: () => circular,
          bigint: () => ({ n: 5n }),
          nothing: () => undefined,
        },
      },
    })
    expect(await ask(served, '/debug/throws')).toMatchObject({
      status: 500,
      json: {
        error: { code: 'section_failed', details: { type: 'RangeError', message: 'at redis://***@host' } },
      },
    })
    const hanging = ask(served, '/debug/hangs')
    await ask(served, '/health')
    vi.advanceTimersByTime(5_001)
    expect(await hanging).toMatchObject({ status: 504, json: { error: { code: 'section_timeout' } } })
    expect(await ask(served, '/debug/large')).toMatchObject({ status: 500, json: { error: { code: 'too_large' } } })
    expect((await ask(served, '/debug/circular')).json.error.code).toBe('section_failed')
    expect((await ask(served, '/debug/bigint')).json.error.code).toBe('section_failed')
    expect(await ask(served, '/debug/nothing')).toMatchObject({ status: 200, json: null })
  })
})

describe('requests', () => {
  it('make no spans and no log lines, and neither does what they call, also beside an HTTP instrumentation', async () => {
    const http = await import('node:http')
    const { t, spans, logs } = await record()
    // As @opentelemetry/instrumentation-http does it: a span for each request, in a patched emit of the prototype.
    const { prototype } = http.Server
    const before = Object.getOwnPropertyDescriptor(prototype, 'emit')
    Object.defineProperty(prototype, 'emit', {
      configurable: true,
      value(this: object, event: string, ...rest: unknown[]) {
        if (event === 'request') trace.getTracer('http').startSpan('GET', { kind: SpanKind.SERVER }).end()
        return Reflect.apply(Object.getPrototypeOf(prototype).emit, this, [event, ...rest])
      },
    })
    onTestFinished(() => {
      if (before === undefined) Reflect.deleteProperty(prototype, 'emit')
      else Object.defineProperty(prototype, 'emit', before)
    })
    const redis = () => trace.getTracer('ioredis').startActiveSpan('PING', async (span) => span.end())
    const sections = { mine: () => service('files.list', { id: 1 }, () => []) }
    const served = await open({ telemetry: t, checks: { redis }, debug: { token: TOKEN, sections } })
    const lines = logs.lines.length
    for (const path of ['/health', '/ready', '/metrics', '/debug/status', '/debug/mine', '/nothing', '/debug/logs']) {
      await ask(served, path)
    }
    await post(served, '/debug/log-level', { level: 'debug' })
    expect(spans.spans.map(({ name }) => name)).toEqual([])
    expect(logs.lines).toHaveLength(lines)

    const other = http.createServer((_, response) => response.end()).listen(0, '127.0.0.1')
    onTestFinished(() => void other.close())
    await new Promise((resolve) => other.once('listening', resolve))
    await fetch(`http://127.0.0.1:${(other.address() as { port: number }).port}`)
    expect(spans.spans.map(({ name }) => name)).toEqual(['GET']) // the instrumentation of this test works
  })
})
