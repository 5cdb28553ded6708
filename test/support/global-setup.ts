// Gives one test run its Redis and its RabbitMQ: private ones, or those named by REDIS_URL and AMQP_URL.
import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Redis } from 'ioredis'
import type { TestProject } from 'vitest/node'
import {
  type Broker,
  deleteVhosts,
  managementUrlOf,
  nodeNameAt,
  type RabbitMq,
  startRabbitMq,
  startRedis,
} from '../../scripts/brokers/index.ts'

/** What a test file is told about a broker: where it is, or why it is not there. */
export type Offer = { url: string; managementUrl?: string } | { error: string }

export interface Brokers {
  /** Unique to this run; every key prefix and vhost begins with it. */
  run: string
  redis: Offer
  /** Answers with the Offer of RabbitMQ, once it is ready. */
  rabbitMqOffice: string
}

declare module 'vitest' {
  interface ProvidedContext {
    brokers: Brokers
  }
}

interface Lease {
  offer: Offer
  end: () => Promise<void>
}

// RabbitMQ costs four seconds of two cores. `npm test` starts it at once beside Redis; a run of chosen files starts it
// when the first of them asks.
const everything = process.env.npm_lifecycle_event === 'test'

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const run = `taskspan-test-${randomBytes(4).toString('hex')}`
  let rabbitMq: Promise<Lease> | undefined
  const leaseRabbitMq = () => {
    rabbitMq ??= lease('RabbitMQ', () => givenRabbitMq(run), startRabbitMq)
    return rabbitMq
  }
  const redisLease = lease('Redis', () => givenRedis(run), startRedis)
  if (everything) await leaseRabbitMq()
  const redis = await redisLease

  const office = createServer(async (_request, response) => {
    const { offer } = await leaseRabbitMq()
    response.end(JSON.stringify(offer))
  })
  project.provide('brokers', { run, redis: redis.offer, rabbitMqOffice: await listen(office) })

  return async () => {
    office.closeAllConnections()
    office.close()
    await Promise.all([redis.end(), rabbitMq?.then(({ end }) => end())])
  }
}

/** A broker that is missing fails the tests that need it, and only those: they throw what stands in the offer. */
async function lease(
  name: string,
  given: () => Promise<Lease | undefined>,
  start: () => Promise<Broker | RabbitMq>,
): Promise<Lease> {
  try {
    const theirs = await given()
    if (theirs !== undefined) {
      console.log(`[brokers] ${name} is given by the environment`)
      return theirs
    }
    console.log(`[brokers] starting ${name}`)
    const broker = await start()
    console.log(`[brokers] ${name} is ready at ${new URL(broker.url).host} after ${broker.startedInMs} ms`)
    const { url } = broker
    const offer = 'managementUrl' in broker ? { url, managementUrl: broker.managementUrl } : { url }
    return { offer, end: () => broker.stop() }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    console.error(`[brokers] no ${name}: ${reason}`)
    return { offer: { error: reason }, end: async () => {} }
  }
}

async function givenRedis(run: string): Promise<Lease | undefined> {
  const url = process.env.REDIS_URL
  if (!url) return undefined
  const client = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => null })
  client.on('error', () => {}) // told by connect()
  await client.connect().catch((error: Error) => {
    throw new Error(`REDIS_URL is set, but nothing answers there (${error.message}). Start it, or unset REDIS_URL.`)
  })
  const end = async () => {
    for await (const keys of client.scanStream({ match: `*${run}*`, count: 1000 })) {
      if (keys.length > 0) await client.unlink(keys)
    }
    client.disconnect()
  }
  return { offer: { url }, end }
}

async function givenRabbitMq(run: string): Promise<Lease | undefined> {
  const url = process.env.AMQP_URL
  if (!url) return undefined
  const managementUrl = managementUrlOf(url, process.env.AMQP_MANAGEMENT_URL || undefined)
  if ((await nodeNameAt(managementUrl)) === undefined) {
    throw new Error(
      `AMQP_URL is set, but its management API does not answer at ${new URL(managementUrl).host}. The tests need it ` +
        'for a vhost per file: run `rabbitmq-plugins enable rabbitmq_management`, name it in AMQP_MANAGEMENT_URL, ' +
        'or unset AMQP_URL.',
    )
  }
  return { offer: { url, managementUrl }, end: () => deleteVhosts(managementUrl, run) }
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
