// A process in which one contender goes through the cases of one fault, from the one given on; it may hang or end in any of them.
import { runCase, type Setting } from '../bench/bench.ts'
import { FAULTS } from '../faults.ts'
import { casesOf } from './cases.ts'

export interface Order extends Setting {
  readonly fault: string
  readonly from: number
}

export type Word =
  | { readonly kind: 'begun'; readonly at: number }
  | { readonly kind: 'ended'; readonly at: number; readonly why?: string }

const say = (word: Word): void => void process.send?.(word)

// Whoever started it is gone: nobody is left to end it.
process.on('disconnect', () => process.exit(1))

process.on('message', async (order: Order) => {
  const fault = FAULTS.find(({ name }) => name === order.fault)
  if (fault === undefined) throw new Error(`There is no fault '${order.fault}'.`)
  const cases = casesOf(fault, order)
  for (let at = order.from; at < cases.length; at++) {
    say({ kind: 'begun', at })
    try {
      await runCase(order, cases[at] as (typeof cases)[number])
      say({ kind: 'ended', at })
    } catch (error) {
      // The next case gets a process in which nothing has failed yet.
      say({ kind: 'ended', at, why: String((error as Error)?.message ?? error).slice(0, 500) })
      return
    }
  }
})
