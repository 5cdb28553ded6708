// A raw socket, for what no HTTP client would send; no test runner is needed for it.
import { connect, type Socket } from 'node:net'

/** Says when to destroy it. */
export type Finished = (clear: () => void) => void

/** A socket that has connected, and everything that it has received so far. */
export class RawSocket {
  received = ''
  readonly closed: Promise<void>

  private constructor(readonly socket: Socket) {
    socket.on('data', (data) => {
      this.received += data.toString('latin1')
    })
    socket.on('error', () => {}) // a reset is one way to be closed
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
  }

  static async open(port: number, finished: Finished): Promise<RawSocket> {
    const raw = new RawSocket(connect(port, '127.0.0.1'))
    finished(() => void raw.socket.destroy())
    await new Promise((resolve) => raw.socket.once('connect', resolve).once('close', resolve))
    return raw
  }

  /** Sends, and waits until the server has closed the connection. */
  static async send(port: number, bytes: string | Buffer, finished: Finished): Promise<string> {
    const raw = await RawSocket.open(port, finished)
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
