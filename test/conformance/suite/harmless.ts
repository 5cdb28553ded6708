// Whatever throws in telemetry: a task runs exactly once and ends as it would.
import { diag } from '@opentelemetry/api'
import type { Middleware } from 'taskspan'
import { describe, expect, it, onTestFinished } from 'vitest'
import { record } from '../../support/record.ts'
import { SENDER } from '../carriers.ts'
import { FAULTY, FAULTY_ON_FAILURE } from '../faulty.ts'
import { type Bench, failing, PaymentError } from './bench.ts'

export function harmless(bench: Bench): void {
  const { open, deliver } = bench

  describe(`${bench.title}: a task runs exactly once and ends as it would, whatever throws`, () => {
    it.each(FAULTY)('$title', async ({ options, arrange, silent }) => {
      const { t, faults } = await record(options)
      onTestFinished(() => diag.disable())
      arrange?.()
      const seen: unknown[] = []
      const outermost: Middleware = async (task, next) => {
        try {
          const result = await next()
          seen.push([task.name, result])
          return result
        } catch (error) {
          seen.push([task.name, error])
          throw error
        }
      }
      const channel = await open(outermost, t)
      const runs: string[] = []
      const bad = new PaymentError('no funds')
      await channel.consume(async ({ name }) => {
        runs.push(name)
        await new Promise((resolve) => setImmediate(resolve))
        if (name === 'bad') throw bad
        return 'fine'
      })
      for (const [name, fate] of [
        ['good', 'done'],
        ['bad', 'given_up'],
      ] as const) {
        const settled = channel.settled(runs.length + 1)
        await channel.publish({ name, headers: { traceparent: SENDER.traceparent, baggage: 'request_id=r-7' } })
        expect((await settled).at(-1)).toBe(fate)
      }
      expect(runs).toEqual(['good', 'bad'])
      expect(seen).toEqual([
        ['good', 'fine'],
        ['bad', bad],
      ])
      if (!silent) expect(await faults()).toBeGreaterThanOrEqual(2)
    })

    it.each(FAULTY_ON_FAILURE)('$title', async ({ options }) => {
      const { t, faults } = await record(options)
      const channel = await open(t)
      let runs = 0
      const fates = await deliver(channel, { name: 'pay' }, () => {
        runs++
        failing()
      })
      expect([runs, fates]).toEqual([1, ['given_up']])
      await expect.poll(faults).toBe(1)
    })

    it('works without any SDK, and with spans, metrics and logs switched off one by one', async () => {
      for (const off of [{}, { tracing: false }, { metrics: false }, { logging: false }]) {
        const { t, spans } = await record(off)
        if (Object.keys(off).length === 0) await spans.close()
        const channel = await open(t)
        expect(await deliver(channel, { name: 'render' }, () => 'ran')).toEqual(['done'])
        await spans.close()
      }
    })
  })
}
