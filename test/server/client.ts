// What the server's tests talk with: a server that ends with the test, JSON answers, and raw sockets.
import { type Served, type ServeOptions, serve } from 'taskspan/server'
import { telemetry } from 'taskspan/telemetry'
import { recordLogs, recordMetrics } from 'taskspan/testing'
import { onTestFinished } from 'vitest'
import { RawSocket } from './raw.ts'

export const TOKEN = 'a-token-for-tests'
export const AUTHORIZED = { authorization: `Bearer ${TOKEN}` }

/** A server on a free port with telemetry of its own, closed when the test ends; concurrent tests say which. */
export async function open(options: Partial<ServeOptions> = {}, finished = onTestFinished): Promise<Served> {
  const t = options.telemetry ?? telemetry({ registry: recordMetrics().registry, logger: recordLogs().logger })
  const served = await serve({ port: 0, host: '127.0.0.1', ...options, telemetry: t })
  finished(() => served.close())
  return served
}

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON an endpoint gave
  readonly json: any
}

export async function ask(served: Pick<Served, 'address'>, path: string, init: RequestInit = {}): Promise<Reply> {
  const response = await fetch(served.address + path, init)
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.startsWith('application/json') && text !== ''
  return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined }
}

/** POST with the token. */
export function post(served: Pick<Served, 'address'>, path: string, body?: unknown): Promise<Reply> {
  const init = body === undefined ? {} : { body: JSON.stringify(body) }
  return ask(served, path, { method: 'POST', headers: AUTHORIZED, ...init })
}

/** Raw sockets that end with the test. */
export type Raw = RawSocket
export const Raw = {
  open: (port: number, finished = onTestFinished) => RawSocket.open(port, finished),
  send: (port: number, bytes: string | Buffer) => RawSocket.send(port, bytes, onTestFinished),
}
