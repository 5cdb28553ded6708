// A transport of pino's whose thread ends in the middle of its work.
import { Writable } from 'node:stream'

export default async function transport() {
  return new Writable({
    write() {
      throw new Error('the transport broke')
    },
  })
}
