// The one sink: every fault is counted, each kind is said once, and nothing that listens can harm.
import { type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api'
import { metrics } from 'taskspan/metrics'
import { recordMetrics } from 'taskspan/testing'
import { expect, it, onTestFinished, vi } from 'vitest'
import { fault, faults } from '../../src/kernel/faults.ts'
import { faultsOf } from '../support/faults.ts'

function listen(over: Partial<DiagLogger> = {}): DiagLogger {
  const logger = { verbose: vi.fn(), debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn(), ...over }
  diag.setLogger(logger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true })
  onTestFinished(() => diag.disable())
  return logger
}

it('counts each fault, and says its kind once through diag with its cause', () => {
  const { warn } = listen()
  const count = faultsOf('t-once', 'start')
  fault('t-once', 'start', new RangeError('too far'))
  fault('t-once', 'start', new RangeError('again'))
  fault('t-once', 'end')
  expect(count()).toBe(2)
  expect(warn).toHaveBeenCalledTimes(2)
  expect(warn).toHaveBeenNthCalledWith(
    1,
    expect.stringMatching(/^taskspan: t-once start failed; the task was not affected/),
    'RangeError: too far',
  )
})

it('shows the counts as a metric of every registry, by part and reason', async () => {
  const [one, two] = [recordMetrics(), recordMetrics()]
  metrics({ registry: one.registry })
  metrics({ registry: two.registry, prefix: 'jobs' })
  fault('t-metric', 'start')
  fault('t-metric', 'start')
  const labels = { part: 't-metric', reason: 'start' }
  expect(await one.value('taskiq_telemetry_errors_total', labels)).toBe(2)
  expect(await two.value('jobs_telemetry_errors_total', labels)).toBe(2)
})

it('is not harmed by a diag logger that throws, nor by an error that cannot be described', () => {
  listen({
    warn() {
      throw new Error('no console')
    },
  })
  const count = faultsOf('t-diag', 'start')
  fault('t-diag', 'start')
  const hostile = new Proxy(new Error('x'), {
    get() {
      throw new Error('trap')
    },
    getPrototypeOf() {
      throw new Error('trap')
    },
  })
  fault('t-diag', 'start', hostile)
  fault('t-hostile', 'start', hostile)
  fault('t-hostile', 'start', Symbol('s'))
  expect(count()).toBe(2)
  expect(faultsOf('t-hostile', 'start')()).toBe(0)
  expect(faults().get('t-hostile start')).toBe(2)
})

it('describes at most 500 characters of a cause', () => {
  const { warn } = listen()
  fault('t-long', 'start', new Error('x'.repeat(5_000_000)))
  expect(vi.mocked(warn).mock.calls[0]?.[1]).toHaveLength(500)
})

it('counts what is beyond 200 kinds as other', () => {
  const before = faults().get('other other') ?? 0
  const kinds = faults().size
  for (let n = 0; n < 300; n++) fault('t-many', `reason-${n}`)
  expect(faults().size).toBe(201)
  expect(faults().get('other other')).toBe(before + 300 - (200 - kinds))
})
