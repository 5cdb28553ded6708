// What a route is, what it is asked, and a limit to how long it may take.
import type { ServerResponse } from 'node:http'
import { type Answer, Refusal, type Writer } from './answer.ts'
import type { Settings } from './options.ts'
import type { Sources } from './sources.ts'

/** What every route may read. */
export interface Desk {
  readonly sources: Sources
  readonly settings: Settings
  readonly writer: Writer
  /** Where it listens; undefined when it is mounted in a server of the user's. */
  address: string | undefined
}

export interface Asked {
  readonly query: URLSearchParams
  readonly accept: string
  /** What follows the route's own path. */
  readonly rest: string
  /** The body as JSON; refused when it is none, or larger than 1 KiB. */
  json(): Promise<unknown>
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal
}

/** An answer that is written while it is made. */
export interface Stream {
  /** How long it may take, in ms. */
  readonly withinMs: number
  run(response: ServerResponse): Promise<void>
}

export interface Route {
  /** POST, always with a token; the others are GET and HEAD. */
  readonly isWrite?: boolean
  /** Also answers for what stands below its path. */
  readonly isPrefix?: boolean
  answer(asked: Asked): Answer | Stream | Promise<Answer | Stream>
}

/** The source, or a 404 that says how to give it. */
export function needed<T>(source: T | undefined, what: string, help: string): T {
  if (source !== undefined) return source
  throw new Refusal(404, 'source_missing', `This process has no ${what} to show.`, help)
}

/** A whole number from the query, or its default. */
export function wholeNumber(query: URLSearchParams, name: string, fallback: number, max: number): number {
  const text = query.get(name)
  if (text === null) return fallback
  const value = /^\d{1,9}$/.test(text) ? Number(text) : 0
  if (value >= 1 && value <= max) return value
  throw invalid(`'${name}' must be a whole number from 1 to ${max}.`, { [name]: text.slice(0, 64) })
}

export function invalid(message: string, details: Readonly<Record<string, unknown>> = {}): Refusal {
  return new Refusal(400, 'invalid_request', message, 'See docs/http.md for what this path takes.', details)
}

/** The promise's own end, or after `ms` the refusal. */
export async function inTime<T>(ms: number, promise: Promise<T>, late: () => Refusal): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    // Who waits is held by the server; a closed one must not keep the process for it.
    timer = setTimeout(() => reject(late()), ms).unref()
  })
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
    promise.catch(() => {}) // what comes too late has nobody left to hear it
  }
}
