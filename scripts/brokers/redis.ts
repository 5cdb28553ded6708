// Starts a private Redis on a free port of 127.0.0.1.
import { existsSync, mkdtempSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { type Broker, startBroker } from './broker.ts'
import { program, type Requirement } from './install.ts'
import { runOwned } from './owned-process.ts'
import { answers, freePort } from './ports.ts'

export interface RedisOptions {
  /** Keeps every write on disk, so that data outlives `kill()` and `restart()`. Off by default. */
  persistent?: boolean
}

const requirement: Requirement = { find: findServer, debianPackage: 'redis-server', variable: 'REDIS_URL' }

export async function startRedis({ persistent = false }: RedisOptions = {}): Promise<Broker> {
  const server = await program(requirement)
  const port = await freePort()
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'taskspan-redis-')))
  const durability = persistent ? ['--appendonly', 'yes', '--appendfsync', 'always'] : ['--appendonly', 'no']
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '', ...durability]
  return startBroker({
    name: 'Redis',
    url: `redis://127.0.0.1:${port}`,
    run: () => runOwned({ directory, command: [server, ...settings], env: process.env }),
    // Its directory tells it from any other Redis; PONG comes only once its data is loaded.
    ready: () =>
      answers(port, 'PING\r\nCONFIG GET dir\r\n', `+PONG\r\n*2\r\n$3\r\ndir\r\n$${directory.length}\r\n${directory}`),
    readyWithinMs: 20_000,
  })
}

function findServer(): string | undefined {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin']
  return directories.map((directory) => join(directory, 'redis-server')).find((path) => existsSync(path))
}
