// What the judges of all rows say when something is not as it should be; no test runner is needed for it.
import { isDeepStrictEqual } from 'node:util'
import type { Delivery, Fate, Lane } from '../bench/lane.ts'
import type { Bench } from '../fault.ts'

export function same(what: string, got: unknown, expected: unknown): void {
  if (isDeepStrictEqual(got, expected)) return
  throw new Error(`${what}: ${short(got)} instead of ${short(expected)}`)
}

export function holds(what: string, is: boolean): void {
  if (!is) throw new Error(what)
}

const short = (value: unknown): string => (JSON.stringify(value) ?? String(value)).slice(0, 200)

/** A handler that does what it is for, with a result that tells whose it is. */
export const rendering = ({ id }: Pick<Delivery, 'id'>): string => `rendered ${id}`

/** Each of these messages ran once and ended with its own result. */
export async function ranOnce({ place }: Bench, lane: Lane, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const { end, result, reason } = await lane.ended(id)
    same(`${id} ended`, [end, reason], ['done', undefined])
    if (place === 'BullMQ') same(`the result of ${id}`, result, rendering({ id }))
    same(`runs of ${id}`, lane.runs.get(id), 1)
  }
}

/** Ended as plain code would have ended it. */
export function sameFate(what: string, fate: Fate, expected: Fate): void {
  for (const detail of Object.keys(expected)) same(`${what}: ${detail}`, fate[detail], expected[detail])
}

/** Waits for what tells nobody that it has happened. */
export async function until(is: () => boolean, what: string): Promise<void> {
  for (let left = 200; !is(); left--) {
    if (left === 0) throw new Error(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
