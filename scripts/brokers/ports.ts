// Chooses ports for private servers and asks a server over TCP whether it is there.
import { randomInt } from 'node:crypto'
import { connect, createServer, type Server } from 'node:net'

// All below the kernel's ephemeral range (32768 and up): a client that reconnects to a killed broker must never be
// given the broker's own port as its local one, for then it talks to itself and the broker cannot come back.
const LOWEST = 20_000
const HIGHEST = 22_500

/** A port such that it and the ports at the given distances from it are free on 127.0.0.1. */
export async function freePort(...distances: number[]): Promise<number> {
  for (;;) {
    const port = randomInt(LOWEST, HIGHEST)
    const held = await Promise.all([0, ...distances].map((distance) => listen(port + distance)))
    await Promise.all(held.map((server) => new Promise<void>((done) => (server ? server.close(() => done()) : done()))))
    if (!held.includes(undefined)) return port
  }
}

function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server))
  })
}

/** Sends `question` and tells whether `answer` comes back within a second. */
export function answers(port: number, question: string, answer: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let received = ''
    const done = (right: boolean) => {
      socket.destroy()
      resolve(right)
    }
    socket.setTimeout(1000, () => done(false))
    socket.on('error', () => done(false))
    socket.on('close', () => done(false))
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      if (received.includes(answer)) done(true)
    })
    socket.on('connect', () => socket.write(question, 'latin1'))
  })
}
