// /health, which asks nobody, and /ready, which asks the checks: at once, with time-outs, and not again within a second.
import { type CheckResults, runChecks } from '../kernel/checks.ts'
import { identity } from '../kernel/identity.ts'
import type { Answer } from './answer.ts'
import type { Desk, Route } from './route.ts'
import { isDraining } from './sources.ts'

const CACHE_MS = 1_000

export function health({ writer }: Desk): Route {
  return {
    answer: () => writer.json({ status: 'ok', uptime_s: Math.round(process.uptime()), version: identity().version }),
  }
}

export function ready(desk: Desk): Route & { close(): void } {
  const { sources, settings, writer } = desk
  let last: Promise<CheckResults> | undefined
  let until = 0
  const closing = new AbortController()

  // Those who ask at once share one run, and so do those who ask again soon: a check costs its broker something.
  function results(): Promise<CheckResults> {
    if (last === undefined || performance.now() > until) {
      until = Number.POSITIVE_INFINITY
      last = runChecks(settings.checks, settings.checkTimeoutMs, closing.signal).finally(() => {
        until = performance.now() + CACHE_MS
      })
    }
    return last
  }

  async function answer(): Promise<Answer> {
    const { version } = identity()
    if (isDraining(sources)) return writer.json({ status: 'draining', checks: {}, version }, 503)
    const complaint = sources.watch?.ready?.()
    const worker = complaint === undefined ? {} : { worker: `error: ${complaint}` }
    const checks = { ...(await results()), ...worker }
    // It may have begun to drain meanwhile, and then no more work must come.
    if (isDraining(sources)) return writer.json({ status: 'draining', checks, version }, 503)
    const isOk = Object.values(checks).every((result) => result === 'ok')
    return writer.json({ status: isOk ? 'ok' : 'degraded', checks, version }, isOk ? 200 : 503)
  }
  return { answer, close: () => closing.abort() }
}
