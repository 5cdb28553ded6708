// POST /debug/profile: a CPU profile of this process, one at a time, at most a minute, ended early when nobody waits.
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Refusal } from './answer.ts'
import { type Route, type Stream, wholeNumber } from './route.ts'

const MAX_S = 60
const CHUNK = 65_536

/** Of the process: two servers in it must not profile at once either. */
let isRunning = false

export function profile(): Route & { close(): void } {
  const closing = new AbortController()
  return {
    isWrite: true,
    answer({ query, signal }): Stream {
      const seconds = wholeNumber(query, 'seconds', 30, MAX_S)
      if (isRunning) throw new Refusal(409, 'profile_running', 'A profile is being taken.', 'Wait until it ends.')
      isRunning = true
      const ended = AbortSignal.any([signal, closing.signal])
      return {
        withinMs: seconds * 1_000 + 30_000,
        async run(response) {
          try {
            await stream(response, seconds, ended)
          } finally {
            isRunning = false
          }
        },
      }
    },
    close: () => closing.abort(),
  }
}

async function stream(response: ServerResponse, seconds: number, ended: AbortSignal): Promise<void> {
  const { Session } = await import('node:inspector/promises') // most processes are never profiled
  const session = new Session()
  session.connect()
  try {
    await session.post('Profiler.enable')
    await session.post('Profiler.start')
    // At once, so that whoever waits knows that it runs.
    response.writeHead(200, {
      'content-type': 'application/json; charset=utf-8',
      'content-disposition': 'attachment; filename="taskspan.cpuprofile"',
      'cache-control': 'no-store',
    })
    response.flushHeaders()
    await pause(seconds * 1_000, ended)
    const { profile } = await session.post('Profiler.stop')
    if (response.destroyed) return
    await pipeline(Readable.from(chunks(JSON.stringify(profile))), response)
  } finally {
    session.disconnect()
  }
}

function* chunks(text: string): Generator<string> {
  for (let at = 0; at < text.length; at += CHUNK) yield text.slice(at, at + CHUNK)
}

function pause(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      ended.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    ended.addEventListener('abort', done, { once: true })
    if (ended.aborted) done()
  })
}
