// What every private broker can do: answer at a URL, stop, crash and come back.
import { setTimeout as sleep } from 'node:timers/promises'
import type { OwnedProcess } from './owned-process.ts'

export interface Broker extends AsyncDisposable {
  readonly url: string
  /** How long the last start took. */
  readonly startedInMs: number
  /** Ends the broker for good; its data is removed. Safe to call twice. */
  stop(): Promise<void>
  /** SIGKILL, as in a crash. Port and data on disk remain for `restart()`. */
  kill(): Promise<void>
  /** Shuts down in order when it still runs, and starts again on the same URL with the data it kept on disk. */
  restart(): Promise<void>
}

export interface BrokerDefinition {
  name: string
  url: string
  run: () => OwnedProcess
  /** Asks the broker, which must be this one and no other on the same port. */
  ready: () => Promise<boolean>
  readyWithinMs: number
}

const SHUTDOWN_PATIENCE_MS = 10_000

export async function startBroker(definition: BrokerDefinition): Promise<Broker> {
  const { name, url, ready, readyWithinMs } = definition
  let server = definition.run()
  let startedInMs = 0

  async function becomeReady(): Promise<void> {
    const begun = performance.now()
    while (!(await ready())) {
      if (!server.alive) throw new Error(`${name} ended while it started:\n${server.log()}`)
      if (performance.now() - begun > readyWithinMs) {
        await server.kill()
        throw new Error(`${name} was not ready within ${readyWithinMs} ms:\n${server.log()}`)
      }
      await sleep(25)
    }
    startedInMs = Math.round(performance.now() - begun)
  }

  async function shutDown(): Promise<void> {
    const crash = setTimeout(() => void server.kill(), SHUTDOWN_PATIENCE_MS)
    await server.terminate()
    clearTimeout(crash)
  }

  try {
    await becomeReady()
  } catch (error) {
    await server.end()
    throw error
  }
  const stop = () => server.end()
  return {
    url,
    get startedInMs() {
      return startedInMs
    },
    stop,
    kill: () => server.kill(),
    restart: async () => {
      await shutDown()
      server = definition.run()
      await becomeReady()
    },
    [Symbol.asyncDispose]: stop,
  }
}
