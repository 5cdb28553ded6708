// Backends that take spans badly, each on a port of its own.
import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { blackHole } from '../../sdk/receiver.ts'

export interface Backend {
  readonly url: string
  close(): void
}

const refusing = async (): Promise<Backend> => ({ url: 'http://127.0.0.1:9', close() {} })

async function http(listener: RequestListener): Promise<Backend> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Takes the request as a whole, keeps nothing of it, and answers as `answer` says. */
const answering = (answer: (response: ServerResponse) => void) => (): Promise<Backend> =>
  http((request, response) => void request.resume().once('end', () => answer(response)))

async function resetting(): Promise<Backend> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.resetAndDestroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => void server.close() }
}

const half = (response: ServerResponse): void => {
  response.on('error', () => {})
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
  response.write('{"partial')
}

/** By what they do to a request. */
export const BACKENDS: Readonly<Record<string, () => Promise<Backend>>> = {
  'refuses connections': refusing,
  hangs: blackHole,
  'answers 500': answering((response) => response.writeHead(500).end('no')),
  'answers 503, try again in an hour': answering((response) =>
    response.writeHead(503, { 'retry-after': '3600' }).end('later'),
  ),
  'answers after two seconds': answering((response) => void setTimeout(() => response.end('{}'), 2_000).unref()),
  'resets connections': resetting,
  'answers half, and hangs': answering(half),
  'answers half, and hangs up': answering((response) => {
    half(response)
    setImmediate(() => response.destroy())
  }),
  'answers what is no OTLP': answering((response) => response.end(Buffer.alloc(10_000, 255))),
}
