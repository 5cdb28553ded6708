// What the server's tests talk with: a server that ends with the test, JSON answers, and raw sockets.
import { connect, type Socket } from 'node:net'
import { type Served, type ServeOptions, serve } from 'taskspan/server'
import { telemetry } from 'taskspan/telemetry'
import { recordLogs, recordMetrics } from 'taskspan/testing'
import { onTestFinished } from 'vitest'

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

/** A socket that has connected, and everything that it has received so far. */
export class Raw {
  received = ''
  readonly closed: Promise<void>

  private constructor(readonly socket: Socket) {
    socket.on('data', (data) => {
      this.received += data.toString('latin1')
    })
    socket.on('error', () => {}) // a reset is one way to be closed
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
  }

  static async open(port: number, finished = onTestFinished): Promise<Raw> {
    const raw = new Raw(connect(port, '127.0.0.1'))
    finished(() => void raw.socket.destroy())
    await new Promise((resolve) => raw.socket.once('connect', resolve).once('close', resolve))
    return raw
  }

  /** Sends, and waits until the server has closed the connection. */
  static async send(port: number, bytes: string | Buffer): Promise<string> {
    const raw = await Raw.open(port)
    raw.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    await raw.closed
    return raw.received
  }

  /** Resolves when what was received matches. */
  until(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (pattern.test(this.received)) resolve(this.received)
      }
      this.socket.on('data', check)
      this.socket.once('close', () => reject(new Error(`closed before ${pattern}: ${this.received.slice(0, 500)}`)))
      check()
    })
  }
}
