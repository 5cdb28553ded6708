// A test file's way to this run's Redis.
import { randomBytes } from 'node:crypto'
import type { RedisOptions } from 'ioredis'
import { inject } from 'vitest'

let prefix: string | undefined

export function redisUrl(): string {
  const { redis } = inject('brokers')
  if ('error' in redis) throw new Error(`This test needs Redis. ${redis.error}`)
  return redis.url
}

/** For `new Redis(…)` and for BullMQ's `connection`, whose workers insist on `maxRetriesPerRequest: null`. */
export function redisConnection(): RedisOptions & { host: string; port: number } {
  const { protocol, hostname, port, username, password, pathname } = new URL(redisUrl())
  return {
    host: hostname,
    port: Number(port || 6379),
    maxRetriesPerRequest: null,
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
    ...(pathname.length > 1 && { db: Number(pathname.slice(1)) }),
    ...(protocol === 'rediss:' && { tls: {} }),
  }
}

/** BullMQ's `prefix` for everything in this test file: files that run side by side never see each other's queues. */
export function bullmqPrefix(): string {
  prefix ??= `${inject('brokers').run}-${randomBytes(4).toString('hex')}`
  return prefix
}
