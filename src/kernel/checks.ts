// Checks: is what this process needs there? Run at once, each with a time-out, and told in words without credentials.
import { describeError, maskUrls } from './outcome.ts'

/** Resolves when what it asks is well, rejects when it is not. The signal aborts at the time-out. */
export type Check = (signal: AbortSignal) => unknown

/** By name: `{ redis: () => redis.ping() }`. */
export type Checks = Readonly<Record<string, Check>>

/** `ok`, or `error: …`. */
export type CheckResults = Record<string, string>

const MAX_WORDS = 300

/** Runs all checks in parallel; never rejects, and takes no longer than the time-out. */
export async function runChecks(checks: Checks, timeoutMs: number): Promise<CheckResults> {
  const entries = Object.entries(checks).map(async ([name, check]) => [name, await runCheck(check, timeoutMs)] as const)
  return Object.fromEntries(await Promise.all(entries))
}

async function runCheck(check: Check, timeoutMs: number): Promise<string> {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => {
      resolve(`error: no answer within ${timeoutMs} ms`)
      controller.abort(new Error(`no answer within ${timeoutMs} ms`))
    }, timeoutMs)
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
  }
}

function words(error: unknown): string {
  const { type, message, code } = describeError(error)
  const said = message.trim() === '' ? (code ?? type) : message
  return maskUrls(said.replace(/\s+/g, ' ')).slice(0, MAX_WORDS)
}
