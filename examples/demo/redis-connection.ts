// One connection to the user's own Redis, under a key prefix of this run that is swept at the end.
import { randomBytes } from 'node:crypto'
import type { Redis } from 'ioredis'

export interface RedisConnection {
  connection: Redis
  prefix: string
  /** The address without user, password and parameters: safe to print. */
  where: string
  release(): Promise<void>
}

export async function connectRedis(url: string): Promise<RedisConnection> {
  const where = address(url)
  // Loaded late: who has no REDIS_URL needs no Redis client.
  const { Redis } = await import('ioredis')
  await probe(new Redis(url, { lazyConnect: true, connectTimeout: 5_000, retryStrategy: () => null }), where)

  // `null` is what BullMQ asks for: a worker waits for a Redis that restarts instead of failing its tasks.
  const connection = new Redis(url, { maxRetriesPerRequest: null })
  // A run of its own: it neither picks up what a killed run left behind nor touches the user's queues.
  const prefix = `taskspan-demo-${randomBytes(4).toString('hex')}`

  async function release(): Promise<void> {
    // With Redis gone, these commands would wait for it to come back.
    if (connection.status === 'ready') await sweep(connection, prefix)
    connection.disconnect()
  }
  return { connection, prefix, where, release }
}

async function probe(redis: Redis, where: string): Promise<void> {
  let cause: unknown
  redis.on('error', (error) => {
    cause = error
  })
  try {
    await redis.connect()
    await redis.ping()
  } catch (error) {
    cause ??= error
    const why = cause instanceof Error ? cause.message || cause.name : String(cause)
    throw new Error(`REDIS_URL is set, but Redis at ${where} does not answer (${why}). Start it, or unset REDIS_URL.`, {
      cause,
    })
  } finally {
    redis.disconnect()
  }
}

async function sweep(redis: Redis, prefix: string): Promise<void> {
  for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 500 })) {
    if (keys.length > 0) await redis.unlink(...(keys as string[]))
  }
}

function address(url: string): string {
  return (URL.canParse(url) && new URL(url).host) || 'the given address'
}
