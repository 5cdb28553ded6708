// Runs one sample of the documents for a moment, and ends whatever it has opened: node run-sample.ts <file> [text to wait for]
import { Server } from 'node:net'
import { pathToFileURL } from 'node:url'

const [file = '', awaited = ''] = process.argv.slice(2)

// Samples name fixed ports; here many run at the same time.
process.env.TASKSPAN_PORT = '0'
const listen = Server.prototype.listen
Server.prototype.listen = function (this: Server, ...args: unknown[]) {
  if (typeof args[0] === 'number') args[0] = 0
  return listen.apply(this, args as never)
} as typeof listen

let printed = ''
for (const stream of [process.stdout, process.stderr]) {
  const { write } = stream
  stream.write = function (this: NodeJS.WriteStream, ...args: unknown[]) {
    printed += String(args[0])
    return write.apply(this, args as never)
  } as typeof write
}

await import(pathToFileURL(file).href)
const deadline = Date.now() + 20_000
while (!printed.includes(awaited) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50))
// What goes wrong after the last line of a sample (a rejection, a worker's error) ends the process by itself.
await new Promise((resolve) => setTimeout(resolve, 300))
process.exit(printed.includes(awaited) ? 0 : 1)
