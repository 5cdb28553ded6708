// serve() and handler(): metrics, probes and, when enabled, a look inside, over HTTP.
import { existsSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { guard } from '../kernel/faults.ts'
import { LINE } from '../kernel/names.ts'
import { isLoopbackAddress } from './access.ts'
import { Writer } from './answer.ts'
import { listen } from './listen.ts'
import { addressOf, type HandlerOptions, type ServeOptions, settingsOf } from './options.ts'
import { respond } from './respond.ts'
import type { Desk } from './route.ts'
import { DEBUG_PATHS, routes } from './routes.ts'
import type { TelemetrySource } from './sources.ts'

export type { Check, Checks } from '../kernel/checks.ts'
export type { DebugOptions, HandlerOptions, Section, ServeOptions } from './options.ts'
export type { SdkSource, TelemetrySource, WatchSnapshot, WatchSource } from './sources.ts'

/** A server that listens. */
export interface Served extends AsyncDisposable {
  /** `http://127.0.0.1:9464` */
  readonly address: string
  readonly host: string
  readonly port: number
  /** Answers what has been asked, for at most a second, and stops listening. Never rejects. */
  close(): Promise<void>
}

/** Answers requests in a server of your own; calls `next` for a path that is not its own, where there is a `next`. */
export interface Handler {
  (request: IncomingMessage, response: ServerResponse, next?: () => void): void
  /** Lets go of what it keeps for `/debug`. */
  close(): void
}

/**
 * Serves `/metrics`, `/health`, `/ready` and, when enabled, `/debug`, on 127.0.0.1:9464 unless told otherwise. Its start
 * is a log line with the address; its requests make no spans and no log lines.
 *
 * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`, `NOT_LISTENING`
 * @see docs/http.md
 * @example
 * const server = await serve({ telemetry: t, sdk, checks: { redis: () => redis.ping() } })
 * // … and last, after the worker has drained:
 * await server.close()
 */
export async function serve(options: ServeOptions): Promise<Served> {
  const desk = deskOf('serve', options)
  const wanted = addressOf(options)
  const all = routes(desk)
  const letGo = desk.settings.debug && options.telemetry.recent.open()
  const gate = { isLoopback: false }
  const release = (): void => {
    all.close()
    letGo?.()
  }
  try {
    const listening = await listen(wanted.host, wanted.port, (request, response) => {
      respond(desk, all, gate, request, response)
    })
    const { address: host, port, family } = listening.address
    gate.isLoopback = isLoopbackAddress(host)
    const address = `http://${family === 'IPv6' ? `[${host}]` : host}:${port}`
    desk.address = address
    say(options.telemetry, address, gate.isLoopback, desk)
    const close = async (): Promise<void> => {
      release()
      await listening.close()
    }
    return { address, host, port, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    release()
    throw error
  }
}

/**
 * The same paths in an HTTP server of your own: node:http, Express, Fastify. It cannot know who reaches that server, so
 * `/debug` always needs the token here.
 *
 * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`
 * @example
 * app.use('/internal', handler({ telemetry: t })) // /internal/metrics, /internal/ready
 */
export function handler(options: HandlerOptions): Handler {
  const desk = deskOf('handler', options)
  const all = routes(desk)
  const letGo = desk.settings.debug && options.telemetry.recent.open()
  const gate = { isLoopback: false }
  const handle = (request: IncomingMessage, response: ServerResponse, next?: () => void): void =>
    respond(desk, all, gate, request, response, next)
  return Object.assign(handle, {
    close() {
      all.close()
      letGo?.()
    },
  })
}

function deskOf(where: 'serve' | 'handler', options: HandlerOptions): Desk {
  const settings = settingsOf(where, options, DEBUG_PATHS)
  const { telemetry, sdk, watch } = options
  const { redact } = telemetry.options as { readonly redact?: readonly string[] | undefined }
  return { sources: { telemetry, sdk, watch }, settings, writer: new Writer(redact), address: undefined }
}

function say({ loggers }: TelemetrySource, address: string, isLoopback: boolean, { settings }: Desk): void {
  const debug = settings.debug !== undefined
  const hint = isLoopback
    ? inContainer() &&
      'Nothing outside of this container can reach it: set TASKSPAN_HOST=0.0.0.0 (and for /debug TASKSPAN_DEBUG_TOKEN).'
    : debug && settings.debug?.token === '' && '/debug answers nobody: set TASKSPAN_DEBUG_TOKEN.'
  guard('server', 'log', () => loggers[0]?.info({ address, debug, ...(hint && { hint }) }, LINE.serverListening))
}

function inContainer(): boolean {
  return process.env.KUBERNETES_SERVICE_HOST !== undefined || ['/.dockerenv', '/run/.containerenv'].some(existsSync)
}
