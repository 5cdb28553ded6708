// Log lines over OTLP: which ones, what becomes of their fields, and that sending them harms nobody.
import { context, createContextKey, diag, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { pino } from 'pino'
import { bind, log, logger, pinoOptions } from 'taskspan/logging'
import { type Sdk, type StartOptions, start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { faults } from '../../src/kernel/faults.ts'
import { runner, SPAN_ID, TRACE_ID } from '../support/run.ts'
import { blackHole, type OtlpLog, type Receiver, receiver, text } from './receiver.ts'

let sdk: Sdk | undefined
let warnings: string[]
let stdout: string[]
beforeEach(() => {
  warnings = []
  stdout = []
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(String(warning)))
  for (const name of Object.keys(process.env)) if (/^(OTEL_|LOG_LEVEL)/.test(name)) vi.stubEnv(name, undefined)
})
afterEach(async () => {
  await sdk?.close({ flushMs: 100 })
  sdk = undefined
  diag.disable()
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

/** Where lines go besides, as a program's stdout would be. */
const out = { write: (line: string) => void stdout.push(line) } as unknown as NodeJS.WritableStream

async function sending(options: StartOptions = { logs: 'otlp' }, status = 200): Promise<Receiver> {
  const backend = await receiver(status)
  onTestFinished(backend.close)
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', backend.url)
  sdk = start({ app: 'shop', worker: 'render', ...options })
  return backend
}

const bodies = (from: Receiver): (string | undefined)[] => from.logs().map(({ body }) => body.stringValue)
const attribute = (record: OtlpLog | undefined, key: string) => record?.attributes.find((one) => one.key === key)?.value
const count = (kind: string): number => faults().get(kind) ?? 0

describe('what is sent', () => {
  it('every line of log(), of logger() and of telemetry(), and still to where it went before', async () => {
    const backend = await sending()
    const own = logger({}, out)
    const run = runner(telemetry({ logger: own, metrics: false }))
    await run({ name: 'render_clip' }, () => log().child({ clip: 7 }).info('inside'))
    own.warn('of a logger')
    own.child({}).debug('below its level')
    pino(pinoOptions(), out).error('of a pino with our options')
    const untraced = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING')
    context.with(ROOT_CONTEXT.setValue(untraced, true), () => own.warn('of a watch, which is not traced'))
    expect(await sdk?.flush()).toBe(true)
    const expected = [
      'inside',
      'task.succeeded',
      'of a logger',
      'of a pino with our options',
      'of a watch, which is not traced',
    ]
    expect(bodies(backend)).toEqual(expected)
    expect(stdout.map((line) => JSON.parse(line).message)).toEqual(expected)
    expect(backend.requests.map(({ path }) => path)).toContain('/v1/logs')
    expect(sdk?.status()).toMatchObject({
      problems: [],
      destinations: [
        { signal: 'traces' },
        { signal: 'logs', target: `${backend.url}/v1/logs`, delivered: 5, failed: 0 },
      ],
    })
  })

  it('of a pino of the user’s the lines that we write, and those of log(); once each', async () => {
    const backend = await sending()
    const theirs = pino({ hooks: { streamWrite: (line) => line.replace('internal', '***') } }, out)
    const run = runner(telemetry({ logger: theirs, metrics: false }))
    await run({ name: 'render_clip' }, () => log().info('of internal matters'))
    theirs.info('theirs')
    await sdk?.flush()
    expect(bodies(backend)).toEqual(['of *** matters', 'task.succeeded'])
    expect(stdout).toHaveLength(3)
    expect(backend.logs()[0]).toMatchObject({ severityNumber: 9 })
  })

  it('nothing, unless asked: by OTEL_LOGS_EXPORTER or by an option, which wins', async () => {
    const write = async (): Promise<void> => {
      logger({}, out).info('one')
      await sdk?.flush()
      await sdk?.close()
    }
    const silent = await sending({})
    await write()
    vi.stubEnv('OTEL_LOGS_EXPORTER', 'otlp')
    const off = await sending({ logs: 'none' })
    await write()
    const on = await sending({})
    await write()
    const ours = [silent, off, on].map((one) => bodies(one).filter((body) => !body?.startsWith('worker.')))
    expect(ours).toEqual([[], [], ['one']])
    vi.stubEnv('OTEL_LOGS_EXPORTER', 'console,none')
    expect((await sending({})).requests).toEqual([])
    await sdk?.close()
    vi.stubEnv('OTEL_LOGS_EXPORTER', 'syslog')
    await sending({})
    expect(sdk?.status().problems).toEqual(["no log lines go to 'syslog': start() knows otlp, console and none"])
    expect(() => start({ logs: 'stdout' as never })).toThrow(/'logs' must be 'otlp' or 'none'/)
  })
})

describe('a line as a record', () => {
  it('has time, severity, body, trace, and its fields as attributes; who wrote it is the resource', async () => {
    const backend = await sending()
    const before = Date.now()
    const run = runner(telemetry({ logger: logger({ level: 'debug' }, out), metrics: false, correlation: ['user_id'] }))
    let traceId: string | undefined
    await run({ name: 'render_clip', id: '7' }, () =>
      bind({ user_id: 'u-1' }, () => {
        traceId = trace.getActiveSpan()?.spanContext().traceId
        log().debug({ clip: { id: 7, tags: ['a', 'b'] }, token: 'hunter2' }, 'inside')
      }),
    )
    log().fatal('outside')
    log().info({ trace_id: TRACE_ID, span_id: SPAN_ID }, 'about a task elsewhere')
    await sdk?.flush()
    const [inside] = backend.logs().filter(({ body }) => body.stringValue === 'inside')
    expect(inside).toMatchObject({ service: 'shop-render', severityNumber: 5, severityText: 'debug', traceId })
    expect(Number(inside?.timeUnixNano) / 1e6).toBeGreaterThanOrEqual(before - 1)
    expect(Number(inside?.timeUnixNano) / 1e6).toBeLessThanOrEqual(Date.now() + 1)
    expect(inside?.spanId).toMatch(/^[0-9a-f]{16}$/)
    for (const [key, value] of [
      ['task_name', 'render_clip'],
      ['task_id', '7'],
      ['user_id', 'u-1'],
      ['token', '[REDACTED]'],
    ]) {
      expect(text(inside?.attributes ?? [], String(key))).toBe(value)
    }
    expect(JSON.stringify(attribute(inside, 'clip'))).toContain('"stringValue":"b"')
    for (const key of ['service', 'environment', 'timestamp', 'level', 'message', 'trace_id', 'span_id']) {
      expect(attribute(inside, key)).toBeUndefined()
    }
    expect(JSON.stringify(backend.logs())).not.toContain('hunter2')
    const outside = backend.logs().find(({ body }) => body.stringValue === 'outside')
    expect(outside).toMatchObject({ severityNumber: 21, severityText: 'critical' })
    expect(outside?.traceId ?? '').toBe('')
    const elsewhere = backend.logs().find(({ body }) => body.stringValue === 'about a task elsewhere')
    expect(elsewhere).toMatchObject({ traceId: TRACE_ID, spanId: SPAN_ID })
  })

  it('says an error in the words of the standard', async () => {
    const backend = await sending()
    const run = runner(telemetry({ logger: logger({}, out), metrics: false }))
    const failed = run({}, () => {
      throw Object.assign(new RangeError('too long'), { code: 'E_LONG' })
    })
    await expect(failed).rejects.toThrow()
    await sdk?.flush()
    const [record] = backend.logs()
    expect(record).toMatchObject({ body: { stringValue: 'task.failed' }, severityNumber: 17 })
    expect(text(record?.attributes ?? [], 'exception.type')).toBe('RangeError')
    expect(text(record?.attributes ?? [], 'exception.message')).toBe('too long')
    expect(text(record?.attributes ?? [], 'exception.stacktrace')).toContain('logs.test.ts')
    expect(JSON.stringify(attribute(record, 'error'))).toContain('E_LONG')
  })
})

describe('a backend that does not work', () => {
  it('is named once, and holds up neither who writes nor close()', async () => {
    await sending({ logs: 'otlp' }, 400)
    const own = logger({}, out)
    own.info('one')
    expect(await sdk?.flush()).toBe(false)
    own.info('two')
    expect(await sdk?.flush()).toBe(false)
    expect(warnings).toEqual([expect.stringMatching(/log lines do not reach .*\/v1\/logs \(400 Bad Request\)/)])
    expect(sdk?.status().destinations[1]).toMatchObject({ signal: 'logs', delivered: 0, failed: 2 })
    expect(stdout).toHaveLength(2)
  })

  it('is given no more than the queue holds; what is over is counted', async () => {
    const hole = await blackHole()
    onTestFinished(hole.close)
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', hole.url)
    vi.stubEnv('OTEL_BLRP_MAX_QUEUE_SIZE', '10')
    sdk = start({ app: 'shop', worker: 'render', logs: 'otlp' })
    const own = logger({}, out)
    const before = count('sdk log_dropped')
    // One batch may have left the queue, and hang.
    for (let n = 0; n < 100; n++) own.info('line')
    expect(count('sdk log_dropped') - before).toBeGreaterThanOrEqual(80)
    expect(count('sdk log_dropped') - before).toBeLessThanOrEqual(90)
    expect(stdout).toHaveLength(100)
    const began = performance.now()
    await sdk.close({ flushMs: 200 })
    expect(performance.now() - began).toBeLessThan(2_000)
    expect(sdk.status().problems).toEqual([expect.stringMatching(/^not every log line reached http:/)])
  })

  it('has the time that it may take, also where that is said in words', async () => {
    const hole = await blackHole()
    onTestFinished(hole.close)
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', hole.url)
    vi.stubEnv('OTEL_EXPORTER_OTLP_TIMEOUT', '10s')
    const said: string[] = []
    const say = (...words: unknown[]): void => void said.push(words.join(' '))
    sdk = start({ app: 'shop', worker: 'render', logs: 'otlp' })
    diag.setLogger({ error: say, warn: say, info: say, debug: say, verbose: say }, { suppressOverrideMessage: true })
    logger({}, out).info('one')
    void sdk.flush()
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(said.filter((words) => words.includes('Timeout'))).toEqual([])
  })

  it('is not told of its own failures, also where the voice of the SDK is a logger whose lines are sent', async () => {
    const backend = await sending({ logs: 'otlp' }, 400)
    const own = logger({ level: 'debug' }, out)
    const say = (...words: unknown[]): void => own.error(words.map(String).join(' '))
    diag.setLogger({ error: say, warn: say, info: say, debug: say, verbose: say }, { suppressOverrideMessage: true })
    own.info('one')
    for (let n = 0; n < 5; n++) await sdk?.flush()
    const sent = backend.requests.filter(({ path }) => path === '/v1/logs').length
    for (let n = 0; n < 5; n++) await sdk?.flush()
    expect(backend.requests.filter(({ path }) => path === '/v1/logs')).toHaveLength(sent)
    expect(stdout.length).toBeGreaterThan(1) // it did have something to say
  })

  it('gets nothing of what is no line, or too long a one; that is counted', async () => {
    const backend = await sending()
    const before = count('sdk log_unreadable')
    const own = logger({ hooks: { streamWrite: (line) => (line.includes('plain') ? 'plain text\n' : line) } }, out)
    own.info('plain')
    own.info({ text: 'x'.repeat(70_000) }, 'long')
    own.info('good')
    await sdk?.flush()
    expect(bodies(backend)).toEqual(['good'])
    expect(count('sdk log_unreadable') - before).toBe(2)
    expect(stdout).toHaveLength(3)
  })
})
