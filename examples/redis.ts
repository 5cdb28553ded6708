// The Redis of these examples: REDIS_URL, or the one on this machine; under a prefix of its own, swept at the end.
import { connectRedis, type RedisConnection } from './demo/redis-connection.ts'

export async function redis(): Promise<RedisConnection> {
  const url = process.env.REDIS_URL || 'redis://127.0.0.1:6379'
  try {
    return await connectRedis(url)
  } catch {
    console.error(`No Redis answers at ${URL.canParse(url) ? new URL(url).host : 'REDIS_URL'}.`)
    console.error('Start one (docker run --rm -p 6379:6379 redis:7), or name yours: REDIS_URL=redis://host:6379')
    process.exit(1)
  }
}
