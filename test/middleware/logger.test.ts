// The envelope of logger() and pinoOptions, loggers of the user, levels at run time, and destinations that fail.
import { type DiagLogger, diag } from '@opentelemetry/api'
import { type Logger, type LoggerOptions, pino } from 'pino'
import { log, logger, logging, mixin, pinoOptions } from 'taskspan/logging'
import { type LogRecorder, recordLogs } from 'taskspan/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { faultsOf } from '../support/faults.ts'
import { runner, turns } from '../support/run.ts'

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

function stub(env: Record<string, string | undefined>): void {
  for (const [key, value] of Object.entries(env)) vi.stubEnv(key, value)
  onTestFinished(() => void vi.unstubAllEnvs())
}

/** A pino of the user's own, and the lines of our task lines and log() through it. */
function own(options: LoggerOptions): { logs: LogRecorder; given: Logger; run: ReturnType<typeof runner> } {
  const logs = recordLogs()
  const given = pino(options, logs.destination)
  return { logs, given, run: runner(logging({ logger: given }), { settle: () => {} }) }
}

describe('logger()', () => {
  it('writes exactly the envelope, outside of any task', () => {
    stub({ OTEL_SERVICE_NAME: 'shop-render', OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging,a=b' })
    const logs = recordLogs()
    const l = logger({ level: 'trace' }, logs.destination)
    for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) l[level]('hello')
    const envelope = { timestamp: expect.stringMatching(ISO), service: 'shop-render', environment: 'staging' }
    expect(logs.lines).toEqual(
      ['debug', 'debug', 'info', 'warning', 'error', 'critical'].map((level) => ({
        ...envelope,
        level,
        message: 'hello',
      })),
    )
  })

  it('is named by the resource, then by NODE_ENV, when nothing else says who this is', () => {
    stub({ OTEL_SERVICE_NAME: undefined, OTEL_RESOURCE_ATTRIBUTES: 'service.name=shop', NODE_ENV: 'qa' })
    expect(pinoOptions().base).toEqual({ service: 'shop', environment: 'qa' })
    stub({ OTEL_SERVICE_NAME: '', OTEL_RESOURCE_ATTRIBUTES: 'service.name=my%20shop,deployment.environment.name=%zz' })
    expect(pinoOptions().base).toEqual({ service: 'my shop', environment: 'qa' })
    stub({ OTEL_RESOURCE_ATTRIBUTES: '', NODE_ENV: undefined })
    expect(pinoOptions().base).toEqual({ service: 'unknown_service', environment: '' })
  })

  it.each([
    [undefined, 'info'],
    ['', 'info'],
    ['debug', 'debug'],
    ['WARNING', 'warn'],
    ['warn', 'warn'],
    ['critical', 'fatal'],
    ['silent', 'silent'],
  ])('has the level that LOG_LEVEL says: %o', (given, level) => {
    const faults = faultsOf('logging', 'level')
    stub({ LOG_LEVEL: given })
    expect(logger({}, recordLogs().destination).level).toBe(level)
    expect(faults()).toBe(0)
  })

  it('is at info, and says so, where LOG_LEVEL is no level: a typing error must not stop a worker', () => {
    const faults = faultsOf('logging', 'level')
    stub({ LOG_LEVEL: 'verbose' })
    expect(logger().level).toBe('info')
    expect(faults()).toBe(1)
  })

  it('lets the user’s own options win', () => {
    const logs = recordLogs()
    const l = logger(
      { base: { app: 'x' }, messageKey: 'text', formatters: { log: (o) => ({ ...o, n: 1 }) } },
      logs.destination,
    )
    l.warn({ a: 2 }, 'hello')
    expect(logs.lines).toMatchObject([{ level: 'warning', app: 'x', text: 'hello', a: 2, n: 1 }])
    expect(logs.lines[0]).not.toHaveProperty('service')
  })

  it('and pino(pinoOptions()) write alike', () => {
    const [one, two] = [recordLogs(), recordLogs()]
    logger({}, one.destination).info({ a: 1 }, 'hello')
    pino(pinoOptions(), two.destination).info({ a: 1 }, 'hello')
    const timeless = ({ lines }: LogRecorder) => lines.map((line) => ({ ...line, timestamp: 0 }))
    expect(timeless(one)).toEqual(timeless(two))
  })
})

describe('a pino of the user', () => {
  it('keeps its envelope and gets our fields', async () => {
    const { logs, run } = own({ base: { pod: 'p-1' }, timestamp: false })
    await run({ id: '7' }, () => log().info('inside'))
    expect(logs.lines).toMatchObject([
      { level: 30, pod: 'p-1', msg: 'inside', task_id: '7', task_name: 'render' },
      { level: 30, pod: 'p-1', msg: 'task.succeeded', task_id: '7', outcome: 'success' },
    ])
    for (const line of logs.lines) expect(line).not.toHaveProperty('timestamp')
  })

  it('keeps its message key, level formatter, serializers, redaction and bindings', async () => {
    const { logs, given } = own({
      ...{ messageKey: 'text', nestedKey: 'data', redact: ['iban'] },
      serializers: { user: ({ id }: { id: number }) => id },
      formatters: {
        level: (label) => ({ severity: label.toUpperCase() }),
        log: (fields) => ({ ...fields, theirs: true }),
      },
    })
    const run = runner(logging({ logger: given.child({ bound: 1 }) }))
    await run({ id: '7' }, () => log().info({ iban: 'DE00', user: { id: 3, password: 'x' } }, 'inside'))
    expect(logs.lines).toMatchObject([
      {
        ...{ severity: 'INFO', text: 'inside', bound: 1 },
        data: { iban: '[Redacted]', user: 3, theirs: true, task_id: '7' },
      },
      { severity: 'INFO', text: 'task.succeeded', data: { theirs: true, outcome: 'success' } },
    ])
  })

  it('is left as it is: its own lines get nothing and may throw', async () => {
    const { logs, given, run } = own({})
    await run({ id: '7' }, () => given.info({ password: 'theirs' }, 'own line'))
    expect(logs.named('own line')).toMatchObject([{ password: 'theirs' }])
    expect(logs.named('own line')[0]).not.toHaveProperty('task_id')
    const broken = pino(
      {},
      {
        write() {
          throw new Error('no disk')
        },
      },
    )
    logging({ logger: broken })
    expect(() => broken.info('x')).toThrow('no disk')
  })

  it('has the fields once where it has our mixin', async () => {
    const { logs, run } = own({ mixin })
    await run({ id: '7' })
    expect(logs.named('task.succeeded')).toMatchObject([{ task_id: '7' }])
    const raw: string[] = []
    const l = pino({ mixin }, { write: (line: string) => void raw.push(line) })
    await runner(logging({ logger: l }))({ id: '7' })
    expect(raw.join('').match(/"task_id"/g)).toHaveLength(1)
  })

  it('is refused where it has levels of its own alone, which would drop our warnings without a word', () => {
    const customLevels = { emerg: 80, crit: 60, error: 50, warning: 40, notice: 35, info: 30, debug: 20 }
    const syslog = pino({ customLevels, useOnlyCustomLevels: true }, recordLogs().destination)
    expect(() => logging({ logger: syslog as never })).toThrow("'logger' must be a pino logger with the levels debug")
    logging({ logger: pino({ customLevels }, recordLogs().destination) as never })
  })

  it('is told once that it keeps its envelope, whatever the diag logger does', () => {
    const info = vi.fn(() => {
      throw new Error('no console')
    })
    diag.setLogger({ info, warn: () => {} } as unknown as DiagLogger, { suppressOverrideMessage: true })
    onTestFinished(() => diag.disable())
    const given = pino({ enabled: false })
    for (let n = 0; n < 3; n++) logging({ logger: given })
    logging({ logger: recordLogs().logger })
    expect(info).toHaveBeenCalledTimes(1)
  })
})

describe('the level', () => {
  it('is followed when it changes at run time, also by a log() that was kept', async () => {
    const { logs, given, run } = own({ level: 'error' })
    const kept = log()
    await run({}, () => kept.info('hidden'))
    given.level = 'debug'
    await run({}, () => kept.info('seen'))
    given.level = 'silent'
    await run({}, () => kept.error('hidden'))
    expect(logs.lines.map(({ message }) => message)).toEqual(['task.started', 'seen', 'task.succeeded'])
  })
})

describe('a destination that throws', () => {
  function broken(): { given: Logger; write: ReturnType<typeof vi.fn> } {
    const write = vi.fn(() => {
      throw new Error('no disk')
    })
    return { given: pino({ level: 'debug' }, { write }), write }
  }

  it('harms neither task nor handler, and is counted', async () => {
    const faults = faultsOf('logging', 'write')
    const { given, write } = broken()
    const run = runner(logging({ logger: given }))
    const result = await run({}, () => {
      log().info('inside')
      log().child({ a: 1 }).error(new Error('also'), 'inside')
      log().fatal('inside')
      return 7
    })
    expect(result).toBe(7)
    const error = new Error('the task’s own')
    await expect(run({}, () => Promise.reject(error))).rejects.toBe(error)
    expect(write).toHaveBeenCalledTimes(7)
    expect(faults()).toBe(7)
  })

  it('is tried again with the next line', async () => {
    const lines: string[] = []
    let isFull = true
    const given = pino(
      {},
      {
        write(line: string) {
          if (isFull) throw new Error('no disk')
          lines.push(line)
        },
      },
    )
    const run = runner(logging({ logger: given }))
    await run()
    isFull = false
    await run()
    expect(lines).toHaveLength(1)
  })
})

it('counts formatters, serializers and mixins of the user that throw', async () => {
  const boom = (): never => {
    throw new Error('no')
  }
  const faults = faultsOf('logging', 'write')
  for (const options of [{ formatters: { log: boom } }, { mixin: boom }, { serializers: { outcome: boom } }]) {
    expect(await own(options).run({}, () => 7)).toBe(7)
  }
  expect(faults()).toBe(3)
})

it('writes asynchronously where the destination does', async () => {
  const logs = recordLogs()
  const slow = { write: (line: string) => void setImmediate(() => logs.destination.write(line)) }
  await runner(logging({ logger: pino({}, slow) }))()
  await turns()
  expect(logs.named('task.succeeded')).toHaveLength(1)
})
