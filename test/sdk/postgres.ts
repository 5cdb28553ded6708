// As much of a PostgreSQL server as the client library needs to send it statements: it lets in anybody, and has no rows.
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

const message = (type: string, body: Buffer): Buffer => {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return Buffer.concat([Buffer.from(type), length, body])
}

const READY = message('Z', Buffer.from('I'))
const COMPLETE = message('C', Buffer.from('SELECT 0\0'))
const ANSWERS: Readonly<Record<string, readonly Buffer[]>> = {
  Q: [COMPLETE, READY],
  P: [message('1', Buffer.alloc(0))],
  B: [message('2', Buffer.alloc(0))],
  D: [message('n', Buffer.alloc(0))],
  E: [COMPLETE],
  S: [READY],
}

export async function postgres(): Promise<{ readonly url: string; close(): void }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    let isStarted = false
    let unread = Buffer.alloc(0)
    socket.on('data', (data) => {
      unread = Buffer.concat([unread, data])
      for (;;) {
        const head = isStarted ? 1 : 0
        const size = unread.length < head + 4 ? Number.POSITIVE_INFINITY : head + unread.readInt32BE(head)
        if (unread.length < size) return
        const type = isStarted ? unread.toString('latin1', 0, 1) : 'startup'
        unread = unread.subarray(size)
        if (isStarted) for (const answer of ANSWERS[type] ?? []) socket.write(answer)
        else socket.write(Buffer.concat([message('R', Buffer.alloc(4)), READY]))
        isStarted = true
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `postgres://shop:hunter2@127.0.0.1:${(server.address() as AddressInfo).port}/shop`,
    close() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
