// Checks: is what this process needs there? Run at once, each with a time-out, and told in words without credentials.
import { describeError, maskUrls } from './outcome.ts'
import { MAX_TIMER_MS } from './within.ts'

/** Resolves when what it asks is well, rejects when it is not. The signal aborts at the time-out. */
export type Check = (signal: AbortSignal) => unknown

/** By name: `{ redis: () => redis.ping() }`. */
export type Checks = Readonly<Record<string, Check>>

/** `ok`, or `error: …`. */
export type CheckResults = Record<string, string>

const MAX_WORDS = 300

/** For checkOptions(): what is wrong with an option that takes checks. */
export function checksWrong(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be an object of functions'
  const wrong = Object.entries(value).find(([, check]) => typeof check !== 'function')
  return wrong && `must be an object of functions, and '${wrong[0]}' is none`
}

/**
 * Runs all checks in parallel; never rejects, and takes no longer than the time-out.
 *
 * @param stop ends them early: nobody wants to know any more
 */
export async function runChecks(checks: Checks, timeoutMs: number, stop?: AbortSignal): Promise<CheckResults> {
  const entries = Object.entries(checks).map(
    async ([name, check]) => [name, await runCheck(check, timeoutMs, stop)] as const,
  )
  return Object.fromEntries(await Promise.all(entries))
}

async function runCheck(check: Check, timeoutMs: number, stop: AbortSignal | undefined): Promise<string> {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let stopped = (): void => {}
  const late = new Promise<string>((resolve) => {
    const end = (why: string): void => {
      resolve(`error: ${why}`)
      controller.abort(new Error(why))
    }
    timer = setTimeout(end, Math.min(timeoutMs, MAX_TIMER_MS), `no answer within ${timeoutMs} ms`)
    stopped = () => end('no longer waited for')
    if (stop?.aborted) stopped()
    else stop?.addEventListener('abort', stopped, { once: true })
  })
  const answer = (async () => {
    try {
      // `false` is how a check is often written that means "no".
      return (await check(controller.signal)) === false ? 'error: the check gave false' : 'ok'
    } catch (error) {
      return `error: ${words(error)}`
    }
  })()
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
    stop?.removeEventListener('abort', stopped)
  }
}

function words(error: unknown): string {
  const { type, message, code } = describeError(error)
  const said = message.trim() === '' ? (code ?? type) : message
  return maskUrls(said.replace(/\s+/g, ' ')).slice(0, MAX_WORDS)
}
