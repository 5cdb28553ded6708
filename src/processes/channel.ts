// The channel from a child to its parent: of a worker thread, or of a forked process.
import { parentPort } from 'node:worker_threads'
import type { Message } from '../kernel/report.ts'

/** @param done called when the message has left this process */
export type Send = (message: Message, done: () => void) => void

/** Whether there is a parent still: a worker of a cluster that was disconnected may go on working for long. */
export const isConnected = (): boolean => parentPort !== null || process.connected === true

/** Undefined where this process is nobody's child. */
export function channel(): Send | undefined {
  const port = parentPort
  if (port !== null) {
    return (message, done) => {
      port.postMessage(message)
      setImmediate(done).unref() // a port does not say when it was read: this bounds what one turn of the loop may send
    }
  }
  if (typeof process.send !== 'function') return undefined
  // With a callback a parent that is gone is told to it; without, it would be an uncaught exception.
  return (message, done) => void process.send?.(message, undefined, undefined, () => done())
}
