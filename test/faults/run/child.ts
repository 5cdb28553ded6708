// A process in which one contender goes through cases of one fault, one after the other; it may hang or end in any of them.
import { runCase, type Setting } from '../bench/bench.ts'
import { FAULTS } from '../faults.ts'
import { casesOf } from './cases.ts'

export interface Order extends Setting {
  readonly fault: string
  /** Which of the fault's cases. */
  readonly at: number
}

export type Word =
  | { readonly kind: 'begun'; readonly at: number }
  | { readonly kind: 'ended'; readonly at: number; readonly why?: string }

const say = (word: Word): void => void process.send?.(word)

// Whoever started it is gone: nobody is left to end it.
process.on('disconnect', () => process.exit(1))

process.on('message', async (order: Order) => {
  const fault = FAULTS.find(({ name }) => name === order.fault)
  const one = fault && casesOf(fault, order)[order.at]
  if (one === undefined) throw new Error(`There is no case ${order.at} of the fault '${order.fault}'.`)
  const { at } = order
  say({ kind: 'begun', at })
  try {
    await runCase(order, one)
    say({ kind: 'ended', at })
  } catch (error) {
    // Whoever hears this ends the process: the next case gets one in which nothing has failed yet.
    say({ kind: 'ended', at, why: String((error as Error)?.message ?? error).slice(0, 500) })
  }
})
