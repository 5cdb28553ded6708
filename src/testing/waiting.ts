// Waits for things that are recorded, by event and not by sleeping, and says what was there when they did not come.
import { TaskspanError } from '../kernel/errors.ts'

export interface WaitOptions {
  /** How long to wait, in ms. Default 10,000. */
  readonly timeoutMs?: number | undefined
}

export interface Waiting<Item> {
  /** Called after each new item. */
  check(): void
  /** Resolves with the first `count` items that fit, at once when they are there already. */
  until(what: string, fits: (item: Item) => boolean, count: number, options?: WaitOptions): Promise<Item[]>
}

/**
 * @param list the items so far; asked at each check
 * @param show an item in an error message
 */
export function waiting<Item>(list: () => readonly Item[], show: (item: Item) => string): Waiting<Item> {
  const checks = new Set<() => void>()
  return {
    check() {
      for (const check of checks) check()
    },
    until(what, fits, count, { timeoutMs = 10_000 } = {}) {
      return new Promise((resolve, reject) => {
        const check = (): void => {
          const found = list().filter(fits)
          if (found.length < count) return
          end()
          resolve(found.slice(0, count))
        }
        const timer = setTimeout(() => {
          end()
          const found = list().filter(fits).length
          const there = list().slice(-20).map(show).join(', ') || 'nothing'
          const message = `${what}: ${found} of ${count} came within ${timeoutMs} ms. Recorded: ${there}.`
          reject(new TaskspanError('NOT_RECORDED', message))
        }, timeoutMs)
        const end = (): void => {
          clearTimeout(timer)
          checks.delete(check)
        }
        checks.add(check)
        check()
      })
    },
  }
}
