// What passes through unchanged, and that the broker is told last.
import type { Middleware } from 'taskspan'
import { describe, expect, it } from 'vitest'
import { record } from '../../support/record.ts'
import { type Bench, failing, PaymentError } from './bench.ts'

export function passing(bench: Bench): void {
  const { open, deliver } = bench

  describe(`${bench.title}: what passes through`, () => {
    it.each([
      ['an object', { frames: 7 }],
      ['undefined', undefined],
      ['a promise of a list', Promise.resolve([1, 2])],
    ])('the very result: %s', async (_, result) => {
      let seen: unknown
      const outermost: Middleware = async (_, next) => {
        seen = await next()
        return seen
      }
      const { t } = await record()
      const channel = await open(outermost, t)
      expect(await deliver(channel, { name: 'render' }, () => result)).toEqual(['done'])
      expect(seen).toBe(await result)
    })

    it.each([
      ['an error', new PaymentError('no funds')],
      ['a frozen error', Object.freeze(new Error('frozen'))],
      ['an object', { status: 503 }],
      ['a string', 'no funds'],
    ])('the very thing that was thrown: %s, at once or from a promise', async (_, thrown) => {
      const seen: unknown[] = []
      const outermost: Middleware = async (_, next) => {
        try {
          return await next()
        } catch (error) {
          seen.push(error)
          throw error
        }
      }
      const { t } = await record()
      const channel = await open(outermost, t)
      await channel.consume(({ name }) => {
        if (name === 'at_once') throw thrown
        return Promise.reject(thrown)
      })
      const settled = channel.settled(2)
      await channel.publish({ name: 'at_once' })
      await channel.publish({ name: 'later' })
      expect(await settled).toEqual(['given_up', 'given_up'])
      expect(seen).toEqual([thrown, thrown])
      expect(seen.every((error) => error === thrown)).toBe(true)
    })

    it('settles last: the broker hears nothing before the whole onion has returned', async () => {
      const order: string[] = []
      const outermost: Middleware = async (_, next) => {
        try {
          return await next()
        } finally {
          order.push('next has returned')
          await new Promise((resolve) => setTimeout(resolve, 25)) // there is no event for what must not happen
          order.push('the onion has returned')
        }
      }
      const { t } = await record()
      for (const end of [() => 'done', failing]) {
        const channel = await open(outermost, t)
        order.length = 0
        await channel.consume(end)
        const settled = channel.settled(1).then(() => order.push('settled'))
        await channel.publish({ name: 'render' })
        await settled
        expect(order).toEqual(['next has returned', 'the onion has returned', 'settled'])
      }
    })
  })
}
