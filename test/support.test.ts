// What every other test rests on: the brokers of the run, and the package under its public names.
import { readFileSync } from 'node:fs'
import { connect } from 'amqplib'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { amqpUrl, newVhostUrl } from './support/rabbitmq.ts'
import { bullmqPrefix, redisConnection, redisUrl } from './support/redis.ts'

test('Redis answers, by URL and by connection options', async () => {
  for (const client of [new Redis(redisUrl()), new Redis(redisConnection())]) {
    expect(await client.ping()).toBe('PONG')
    client.disconnect()
  }
})

test('a file keeps its own prefix for BullMQ', () => {
  expect(bullmqPrefix()).toMatch(/^taskspan-test-\w{8}-\w{8}$/)
  expect(bullmqPrefix()).toBe(bullmqPrefix())
})

test('a queue in one vhost is not seen in another', async () => {
  const [here, there] = await Promise.all([connect(await amqpUrl()), connect(await newVhostUrl())])
  const [ours, theirs] = await Promise.all([here.createChannel(), there.createChannel()])
  theirs.on('error', () => {}) // the refusal below closes the channel
  await ours.assertQueue('orders')
  ours.sendToQueue('orders', Buffer.from('one'))

  await expect(theirs.checkQueue('orders')).rejects.toThrow(/NOT_FOUND/)

  await Promise.all([here.close(), there.close()])
})

test('a file keeps its own vhost', async () => {
  expect(await amqpUrl()).toBe(await amqpUrl())
  expect(await newVhostUrl()).not.toBe(await newVhostUrl())
})

test('every public name is known to the type checker as the source behind it', () => {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
    exports: Record<string, string | { default: string }>
  }
  const { compilerOptions } = JSON.parse(readFileSync('tsconfig.json', 'utf8')) as {
    compilerOptions: { paths: Record<string, string[]> }
  }
  const sources = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
    typeof target === 'string'
      ? []
      : [[`taskspan${subpath.slice(1)}`, [target.default.replace('./dist/', './src/').replace(/\.js$/, '.ts')]]],
  )
  expect(compilerOptions.paths).toEqual(Object.fromEntries(sources))
})
