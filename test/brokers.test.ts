// The private brokers: they come back with their data, and they never outlive the process that started them.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { Redis } from 'ioredis'
import { afterEach, expect, test } from 'vitest'
import { type Broker, startRedis } from '../scripts/brokers/index.ts'

let redis: Broker | undefined
const clients: Redis[] = []

afterEach(async () => {
  for (const client of clients.splice(0)) client.disconnect()
  await redis?.stop()
  redis = undefined
})

function clientOf(url: string): Redis {
  const client = new Redis(url)
  client.on('error', () => {}) // it is meant to lose its server
  clients.push(client)
  return client
}

test('a killed broker comes back at the same address, and its clients find it', async () => {
  redis = await startRedis({ persistent: true })
  const client = clientOf(redis.url)
  await client.set('kept', 'yes')

  await redis.kill()
  expect(await listens(redis.url)).toBe(false)
  await redis.restart()

  expect(await client.get('kept')).toBe('yes')
})

test('a broker without persistence forgets everything in a restart', async () => {
  redis = await startRedis()
  const client = clientOf(redis.url)
  await client.set('forgotten', 'yes')

  await redis.restart()

  expect(await client.get('forgotten')).toBeNull()
})

test('a stopped broker is gone, with its directory, and may be stopped again', async () => {
  redis = await startRedis()
  const directory = await directoryOf(redis.url)
  expect(existsSync(directory)).toBe(true)

  await redis.stop()
  await redis.stop()

  expect(await listens(redis.url)).toBe(false)
  expect(existsSync(directory)).toBe(false)
})

for (const end of ['SIGKILL', 'SIGINT', 'process.exit'] as const) {
  test(`a broker whose owner ends by ${end} follows it`, async () => {
    const owner = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', OWNER], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const [line] = (await once(owner.stdout, 'data')) as [Buffer]
    const url = line.toString().trim()
    const directory = await directoryOf(url)

    if (end === 'process.exit') owner.stdin.end()
    else owner.kill(end)
    await once(owner, 'exit')

    await expect.poll(() => listens(url), { timeout: 5000 }).toBe(false)
    await expect.poll(() => existsSync(directory), { timeout: 5000 }).toBe(false)
  })
}

const OWNER = `
import { startRedis } from './scripts/brokers/index.ts'
const redis = await startRedis()
console.log(redis.url)
process.stdin.on('end', () => process.exit(1)).resume()
`

async function directoryOf(url: string): Promise<string> {
  const [, directory] = (await clientOf(url).config('GET', 'dir')) as [string, string]
  return directory
}

function listens(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname)
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('close', () => socket.destroy())
    socket.once('connect', () => socket.destroy())
  })
}
