// close() and ready() in one process: the order of things, their bounds, what they say, and that nothing wrong stops them.
import { start } from 'taskspan/sdk'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { record } from '../support/record.ts'
import { gate } from '../support/run.ts'

let warnings: string[]
beforeEach(() => {
  warnings = []
  vi.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(String(warning)))
})
afterEach(() => void vi.restoreAllMocks())

const never = (): Promise<never> => new Promise(() => {})
const lifecycle = /^(worker|check)\./

describe('close()', () => {
  it('says draining at once, and closed in the end', async () => {
    const sdk = start({ app: 'shop', worker: 'render' })
    const running = gate()
    const closing = sdk.close({ workers: [{ close: () => running.opened }] })
    expect(sdk.status().state).toBe('draining')
    running.open()
    await closing
    expect(sdk.status().state).toBe('closed')
  })

  it('stops all workers, then aborts those that are late, then closes the rest', async () => {
    const told: string[] = []
    const late = gate()
    const sdk = start()
    await sdk.close({
      graceMs: 20,
      workers: [
        { close: () => void told.push('first closed'), cancelAllJobs: () => told.push('never: it had ended') },
        {
          close(...given: unknown[]) {
            told.push(`second closed with ${given.length} arguments`)
            return late.opened
          },
          cancelAllJobs(reason) {
            told.push(`second aborted: ${reason}`)
            late.open()
          },
        },
        { close: () => late.opened, abort: (reason) => told.push(`third aborted: ${(reason as Error).message}`) },
      ],
      last: [{ close: () => void told.push('last closed') }],
    })
    expect(told).toEqual([
      'first closed',
      'second closed with 0 arguments',
      'second aborted: The process is ending.',
      'third aborted: The process is ending.',
      'last closed',
    ])
  })

  it('waits no longer than grace and flush together, whatever hangs, throws or rejects', async () => {
    const { logs, faults } = await record()
    const sdk = start()
    const before = performance.now()
    const wrong = [
      { close: never },
      { close: () => Promise.reject(new Error('no')) },
      {
        close: () => {
          throw new Error('no')
        },
      },
      {
        close: never,
        cancelAllJobs: () => {
          throw new Error('no')
        },
      },
    ]
    await sdk.close({ graceMs: 50, flushMs: 100, workers: wrong, last: [{ close: never }] })
    expect(performance.now() - before).toBeLessThan(600)
    expect(await faults()).toBeGreaterThanOrEqual(3)
    expect(logs.lines.filter(({ message }) => lifecycle.test(String(message)))).toMatchObject([
      { level: 'info', message: 'worker.draining', workers: 4, grace_ms: 50 },
      { level: 'warning', message: 'worker.stopped', tasks: 'abandoned', spans_flushed: true },
    ])
    expect(warnings).toEqual([expect.stringContaining('workers had not closed after 50 ms of grace')])
  })

  it('takes what is no worker, and no list, for none given', async () => {
    const sdk = start()
    await sdk.close({ workers: [null, 1, {}] as never, last: 'x' as never })
    expect(sdk.status().state).toBe('closed')
  })
})

describe('closeOnSignal()', () => {
  it('listens only when it is asked to, and no longer than to the end of close()', async () => {
    const before = process.listenerCount('SIGTERM')
    const sdk = start()
    expect(process.listenerCount('SIGTERM')).toBe(before)
    sdk.closeOnSignal()
    const stop = sdk.closeOnSignal({ signals: ['SIGTERM'] })
    expect([process.listenerCount('SIGTERM'), process.listenerCount('SIGINT')]).toEqual([before + 1, before])
    stop()
    expect(process.listenerCount('SIGTERM')).toBe(before)
    sdk.closeOnSignal()
    await sdk.close()
    expect(process.listenerCount('SIGTERM')).toBe(before)
  })

  it('refuses what it does not know', async () => {
    await using sdk = start()
    expect(() => sdk.closeOnSignal({ worker: [] } as never)).toThrow(/unknown option 'worker'/)
    expect(() => sdk.closeOnSignal({ workers: [{}] } as never)).toThrow(/things with close\(\)/)
    for (const signal of ['TERM', 'SIGTREM', 'SIGKILL']) {
      expect(() => sdk.closeOnSignal({ signals: [signal] as never })).toThrow(
        /names of signals that a process can hear/,
      )
    }
  })
})

describe('ready()', () => {
  it('gives a check all the time that it may take, also where that is more than a timer knows', async () => {
    // A timer set for too long ends after 1 ms, and so before this one.
    const slow = () => new Promise<void>((resolve) => setTimeout(resolve, 20))
    await using sdk = start({ checks: { slow }, checkTimeoutMs: 1e12 })
    await expect(sdk.ready()).resolves.toBeUndefined()
  })

  it('runs the checks once, and says that the worker has started', async () => {
    const { logs } = await record()
    const redis = vi.fn(() => 'PONG')
    await using sdk = start({ app: 'shop', worker: 'render', version: '1.2.3', checks: { redis } })
    expect(redis).not.toHaveBeenCalled()
    await Promise.all([sdk.ready(), sdk.ready()])
    expect(redis).toHaveBeenCalledTimes(1)
    expect(logs.lines.filter(({ message }) => lifecycle.test(String(message)))).toMatchObject([
      { message: 'worker.starting', worker: 'render', version: '1.2.3', checks: ['redis'] },
      { message: 'worker.started', checks: { redis: 'ok' } },
    ])
  })

  it('rejects with the names of the failed checks, why, and help, and logs each', async () => {
    const { logs } = await record()
    const refused = () => Promise.reject(new Error('connect ECONNREFUSED redis://:secret@127.0.0.1:6379'))
    await using sdk = start({ checks: { redis: refused, disk: never, queue: () => true }, checkTimeoutMs: 20 })
    await expect(sdk.ready()).rejects.toMatchObject({
      code: 'CHECK_FAILED',
      help: expect.stringContaining("onCheckFailure: 'wait'"),
      message: expect.stringMatching(
        /the checks 'redis' \(connect ECONNREFUSED .*\), 'disk' \(no answer within 20 ms\)/,
      ),
    })
    expect(logs.lines.filter(({ message }) => message === 'check.failed')).toMatchObject([
      { level: 'error', check: 'redis', attempt: 1 },
      { level: 'error', check: 'disk', reason: 'no answer within 20 ms' },
    ])
    expect(JSON.stringify(logs.lines)).not.toContain('secret')
    expect(logs.lines.some(({ message }) => message === 'worker.started')).toBe(false)
  })

  it('tries again until they pass, where it is told to wait', async () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const { logs } = await record()
    let left = 3
    const redis = () => left-- <= 0
    const sdk = start({ checks: { redis }, onCheckFailure: 'wait' })
    const ready = sdk.ready()
    await vi.advanceTimersByTimeAsync(6_900)
    expect(left).toBe(0)
    await vi.advanceTimersByTimeAsync(200)
    await ready
    const waits = logs.lines.filter(({ message }) => message === 'check.failed').map((line) => line.next_in_ms)
    expect(waits).toEqual([1_000, 2_000, 4_000])
  })

  it('rejects when it is closed while it waits: no work may begin then', async () => {
    const sdk = start({ checks: { redis: () => false }, onCheckFailure: 'wait' })
    const ready = expect(sdk.ready()).rejects.toMatchObject({ code: 'CHECK_FAILED' })
    await sdk.close()
    await ready
  })

  it('has its options checked', () => {
    expect(() => start({ checks: { redis: 1 } as never })).toThrow(/object of functions, and 'redis' is none/)
    expect(() => start({ onCheckFailure: 'retry' as never })).toThrow(/'reject' or 'wait'/)
    expect(() => start({ checkTimeoutMs: 0 })).toThrow(/'checkTimeoutMs'/)
  })
})
