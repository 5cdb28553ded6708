// The HTTP server with its limits: time-outs, a cap on sockets, answers to what is no HTTP, and an end in bounded time.
import { EventEmitter } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { TaskspanError } from '../kernel/errors.ts'
import { fault } from '../kernel/faults.ts'
import { errorBody, JSON_TYPE, Refusal } from './answer.ts'

// Not by `import`, which reads each of its exports: one of them is `WebSocket`, and loads undici and HTTP/2, 8 MB.
const { createServer, STATUS_CODES } = process.getBuiltinModule('node:http')

const MAX_SOCKETS = 100
const MAX_PIPELINED = 8
const LINGER_MS = 500
const CLOSE_MS = 1_000

export interface Listening {
  readonly address: AddressInfo
  close(): Promise<void>
}

export async function listen(
  host: string,
  port: number,
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Listening> {
  const server = createServer({
    headersTimeout: 5_000,
    requestTimeout: 10_000,
    keepAliveTimeout: 5_000,
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: 8_192,
    insecureHTTPParser: false,
  })
  server.maxHeadersCount = 100
  server.maxRequestsPerSocket = 1_000
  // HTTP instrumentations make their server spans in a patched `emit` of the prototype; these requests are not for them.
  Object.defineProperty(server, 'emit', { value: EventEmitter.prototype.emit })

  const sockets = new Sockets()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.on('clientError', (error, socket) => refuse(error, socket as Socket, sockets.isAnswering(socket as Socket)))
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    if (sockets.began(request.socket, response)) onRequest(request, response)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(notListening(host, port, error)))
    server.listen({ host, port, exclusive: true }, resolve)
  })
  server.removeAllListeners('error')
  server.on('error', (error) => fault('server', 'socket', error))

  let closing: Promise<void> | undefined
  return {
    address: server.address() as AddressInfo,
    close() {
      closing ??= close(server, sockets)
      return closing
    },
  }
}

/** The open sockets and how many requests of each are being answered, oldest first. */
class Sockets {
  private readonly open = new Map<Socket, number>()

  add(socket: Socket): void {
    this.open.set(socket, 0)
    socket.once('close', () => this.open.delete(socket))
    if (this.open.size <= MAX_SOCKETS) return
    // Refusing the new one would let a hundred silent clients lock everybody else out: the oldest without a request goes.
    for (const [candidate, requests] of this.open) {
      if (requests > 0) continue
      this.open.delete(candidate)
      candidate.destroy()
      return
    }
  }

  /** Whether to answer; a client that sends requests far ahead of the answers loses its connection instead. */
  began(socket: Socket, response: ServerResponse): boolean {
    const requests = (this.open.get(socket) ?? 0) + 1
    if (requests > MAX_PIPELINED || !this.open.has(socket)) {
      socket.destroy()
      return false
    }
    this.open.set(socket, requests)
    response.once('close', () => {
      if (this.open.has(socket)) this.open.set(socket, (this.open.get(socket) ?? 1) - 1)
    })
    return true
  }

  isAnswering(socket: Socket): boolean {
    return (this.open.get(socket) ?? 0) > 0
  }

  destroy(): void {
    for (const socket of this.open.keys()) socket.destroy()
  }
}

/** Answers what cannot be parsed, came too late or is too large, and closes. */
function refuse(error: NodeJS.ErrnoException, socket: Socket, isAnswering: boolean): void {
  // In the middle of an answer a second one would be read as part of it.
  if (!socket.writable || error.code === 'ECONNRESET' || isAnswering) {
    socket.destroy()
    return
  }
  const [status, code] = CLIENT_ERRORS[error.code ?? ''] ?? [400, 'malformed']
  const refusal = new Refusal(status, code, STATUS_CODES[status] ?? '', 'Send one complete HTTP/1.1 request.')
  const body = `${JSON.stringify(errorBody(refusal, '', null))}\n`
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, `content-type: ${JSON_TYPE}`, 'connection: close']
  socket.end(`${[...head, `content-length: ${Buffer.byteLength(body)}`].join('\r\n')}\r\n\r\n${body}`)
  // Not at once, or what it still sends would take the answer from it; and not when it pleases.
  const timer = setTimeout(() => socket.destroy(), LINGER_MS)
  socket.once('close', () => clearTimeout(timer))
}

const CLIENT_ERRORS: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'headers_too_large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'too_large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'request_timeout'],
}

async function close(server: Server, sockets: Sockets): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  const timer = setTimeout(() => sockets.destroy(), CLOSE_MS)
  await closed
  clearTimeout(timer)
}

function notListening(host: string, port: number, cause: NodeJS.ErrnoException): TaskspanError {
  const why = cause.code === 'EADDRINUSE' ? 'the port is taken' : (cause.code ?? cause.message)
  return new TaskspanError('NOT_LISTENING', `serve: ${host}:${port}: ${why}.`, { cause })
}
