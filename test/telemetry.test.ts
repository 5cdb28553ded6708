// The preset: what each switch leaves, what options are refused, and several of it in one process.
import { Registry } from 'prom-client'
import { compose, TaskspanError } from 'taskspan'
import { log, logging } from 'taskspan/logging'
import { metrics } from 'taskspan/metrics'
import { type TelemetryOptions, telemetry } from 'taskspan/telemetry'
import { recordLogs, recordMetrics, recordSpans } from 'taskspan/testing'
import { tracing } from 'taskspan/tracing'
import { describe, expect, it } from 'vitest'
import { gate, runner } from './support/run.ts'

const KINDS = ['tracing', 'metrics', 'logging'] as const

/** What each of the three has left behind of one task. */
async function traces(options: TelemetryOptions): Promise<Record<string, boolean>> {
  await using spans = recordSpans()
  const [recorded, logs] = [recordMetrics(), recordLogs()]
  const t = telemetry({ registry: recorded.registry, logger: logs.logger, ...options })
  expect(await runner(t)({}, () => 7)).toBe(7)
  const count = await recorded.value('taskiq_tasks_total')
  return { tracing: spans.spans.length > 0, metrics: count === 1, logging: logs.lines.length > 0 }
}

describe('switches', () => {
  it('are all on by default', async () => {
    expect(await traces({})).toEqual({ tracing: true, metrics: true, logging: true })
    const unset = Object.fromEntries(KINDS.map((kind) => [kind, undefined]))
    expect(await traces(unset)).toEqual({ tracing: true, metrics: true, logging: true })
  })

  it.each(KINDS)('turn off %s alone', async (kind) => {
    const rest = { tracing: true, metrics: true, logging: true, [kind]: false }
    expect(await traces({ [kind]: false })).toEqual(rest)
  })

  it('turn off everything', async () => {
    const none = { tracing: false, metrics: false, logging: false }
    expect(await traces(none)).toEqual(none)
  })

  it('leave the registry alone without metrics, and know what runs all the same', async () => {
    const registry = new Registry()
    const t = telemetry({ registry, metrics: false, logging: false })
    expect(t.registry).toBeUndefined()
    expect(registry.getMetricsAsArray()).toEqual([])
    const held = gate()
    const running = runner(t)({ id: '7' }, () => held.opened)
    expect([...t.running]).toMatchObject([{ id: '7' }])
    held.open()
    await running
    expect(t.running.size).toBe(0)
  })
})

it('hands out its registry and the tasks that run, oldest first', async () => {
  const { registry } = recordMetrics()
  const t = telemetry({ registry, logging: false })
  expect(t.registry).toBe(registry)
  const held = gate()
  const running = ['1', '2', '3'].map((id) => runner(t)({ id }, () => held.opened))
  expect([...t.running].map(({ id }) => id)).toEqual(['1', '2', '3'])
  held.open()
  await Promise.all(running)
})

it('gives one prefix to spans, attributes and metrics', async () => {
  await using spans = recordSpans()
  const { registry, value } = recordMetrics()
  await runner(telemetry({ registry, prefix: 'jobs', logging: false }))()
  expect(spans.one('jobs.render').attributes).toMatchObject({ 'jobs.outcome': 'success' })
  expect(await value('jobs_tasks_total')).toBe(1)
})

it('is what its three parts are when they are composed by hand', async () => {
  const run = async (byHand: boolean) => {
    await using spans = recordSpans()
    const [recorded, logs] = [recordMetrics(), recordLogs()]
    const [registry, logger] = [recorded.registry, logs.logger]
    const t = byHand ? compose(tracing(), metrics({ registry }), logging({ logger })) : telemetry({ registry, logger })
    await runner(t, { settle: () => {} })({ id: '7' }, () => Promise.reject(new RangeError('no')))
    const { name, kind, status, attributes } = spans.one('taskiq.render')
    const lines = logs.lines.map(({ level, message, outcome, task_id }) => ({ level, message, outcome, task_id }))
    return { name, kind, status, attributes, lines, tasks: await recorded.series('taskiq_tasks_total') }
  }
  expect(await run(true)).toEqual(await run(false))
})

describe('options', () => {
  const refused = (options: object) => () => telemetry(options as TelemetryOptions)

  it.each([
    [{ prefx: 'jobs' }, 'UNKNOWN_OPTION', `unknown option 'prefx' ("jobs")`],
    [{ tracing: {} }, 'INVALID_OPTION', `'tracing' must be a boolean, got [object Object]`],
    [{ metrics: 'off' }, 'INVALID_OPTION', `'metrics' must be a boolean, got "off"`],
    [{ logging: 0 }, 'INVALID_OPTION', `'logging' must be a boolean, got 0`],
    [{ prefix: '' }, 'INVALID_OPTION', `'prefix' must match [a-z][a-z0-9_]{0,31}, got ""`],
    [{ prefix: 'My-Jobs' }, 'INVALID_OPTION', `'prefix' must match`],
    [{ prefix: 'x'.repeat(33) }, 'INVALID_OPTION', `'prefix' must match`],
    [{ parent: 'sibling' }, 'INVALID_OPTION', `'parent' must be 'child', 'link', 'root' or a function, got "sibling"`],
    [{ maxTraceAgeMs: -1 }, 'INVALID_OPTION', `'maxTraceAgeMs' must be a number >= 0, got -1`],
    [{ maxTraceAgeMs: Number.NaN }, 'INVALID_OPTION', `'maxTraceAgeMs' must be a number >= 0, got NaN`],
    [{ attributes: {} }, 'INVALID_OPTION', `'attributes' must be a function`],
    [{ correlation: 'request_id' }, 'INVALID_OPTION', `'correlation' must be an array of strings, got "request_id"`],
    [{ correlation: [7] }, 'INVALID_OPTION', `'correlation' must be an array of strings`],
    [{ correlate: 'x' }, 'INVALID_OPTION', `'correlate' must be a function`],
    [{ registry: {} }, 'INVALID_OPTION', `'registry' must be a prom-client Registry`],
    [{ logger: console }, 'INVALID_OPTION', `'logger' must be a pino logger`],
    [{ slowAfterMs: '30s' }, 'INVALID_OPTION', `'slowAfterMs' must be a number >= 0, got "30s"`],
    [{ redact: 'iban' }, 'INVALID_OPTION', `'redact' must be an array of strings`],
    [{ onFailure: true }, 'INVALID_OPTION', `'onFailure' must be a function, got true`],
    [null, 'INVALID_OPTION', 'options must be an object, got null'],
    [[], 'INVALID_OPTION', 'options must be an object'],
  ])('%j are refused at construction: %s, %s', (options, code, message) => {
    expect(refused(options as object)).toThrow(TaskspanError)
    expect(refused(options as object)).toThrow(
      expect.objectContaining({
        code,
        message: expect.stringContaining(`telemetry: ${message}`),
        help: expect.stringMatching(/^\w.*\.$/),
      }),
    )
  })

  it.each([
    ['tracing', () => tracing({ metrics: true } as never)],
    ['metrics', () => metrics({ parent: 'child' } as never)],
    ['logging', () => logging({ prefix: 'jobs' } as never)],
  ])('of another part are refused by %s()', (name, make) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_OPTION', message: expect.stringContaining(`${name}: unknown option`) }),
    )
  })

  it('name no option that does not exist', () => {
    const known = /Known: (.+?)\. /.exec(String(catching(refused({ x: 1 }))))?.[1]
    expect(known?.split(', ').sort()).toEqual([
      ...['attributes', 'correlate', 'correlation', 'durationBuckets', 'labels', 'logger', 'logging', 'maxTraceAgeMs'],
      ...['metrics', 'onFailure', 'parent', 'prefix', 'redact', 'registry', 'slowAfterMs', 'tracing', 'waitBuckets'],
    ])
  })

  it('may be undefined, which is unset', async () => {
    const options = Object.fromEntries(
      ['prefix', 'parent', 'labels', 'redact', 'slowAfterMs'].map((key) => [key, undefined]),
    )
    expect(await traces(options)).toEqual({ tracing: true, metrics: true, logging: true })
  })
})

describe('two instances', () => {
  it('in one process keep their own prefix, registry, logger and correlation', async () => {
    await using spans = recordSpans()
    const make = (prefix: string, correlation: string[]) => {
      const [recorded, logs] = [recordMetrics(), recordLogs()]
      const t = telemetry({ prefix, correlation, registry: recorded.registry, logger: logs.logger })
      return { ...recorded, logs, run: runner(t) }
    }
    const [one, two] = [make('one', ['tenant_one']), make('two', ['tenant_two'])]
    const carrier = { baggage: 'tenant_one=a,tenant_two=b' }
    await Promise.all([one.run({ carrier }), two.run({ carrier })])
    expect(spans.one('one.render').attributes).toMatchObject({ tenant_one: 'a' })
    expect(spans.one('one.render').attributes).not.toHaveProperty('tenant_two')
    expect(spans.one('two.render').attributes).toMatchObject({ tenant_two: 'b' })
    expect(await one.value('one_tasks_total')).toBe(1)
    expect(await one.value('two_tasks_total')).toBeUndefined()
    expect(two.logs.named('task.succeeded')).toHaveLength(1)
  })

  it('around one task make two spans, and count it once per registry', async () => {
    await using spans = recordSpans()
    const { registry, value } = recordMetrics()
    const [outer, inner] = [
      telemetry({ registry, logging: false }),
      telemetry({ prefix: 'in', registry, logging: false }),
    ]
    await runner(compose(outer, inner))()
    expect(spans.spans).toHaveLength(2)
    expect(await value('taskiq_tasks_total')).toBe(1)
    expect(await value('in_tasks_total')).toBe(1)
  })
})

it('opens nothing: log() goes to the logger that was given, and no handle is left', async () => {
  const logs = recordLogs()
  const before = process.getActiveResourcesInfo().length
  telemetry({ registry: new Registry(), logger: logs.logger })
  expect(process.getActiveResourcesInfo().length).toBe(before)
  log().info('here')
  expect(logs.named('here')).toHaveLength(1)
})

function catching(fn: () => unknown): unknown {
  try {
    return fn()
  } catch (error) {
    return error
  }
}
