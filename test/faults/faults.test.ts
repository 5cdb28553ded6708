// The short form of every row: taskspan survives all of it, and the careless contender shows that the row can tell.
import { describe, expect, it } from 'vitest'
import { amqpUrl } from '../support/rabbitmq.ts'
import { bullmqPrefix, redisUrl } from '../support/redis.ts'
import type { BrokerUrls, Form, Place } from './fault.ts'
import { FAULTS } from './faults.ts'
import { concerns } from './run/cases.ts'
import { tryOut } from './run/trial.ts'

const SHORT: Form = { name: 'short', patienceMs: 20_000 }
// Hanging is one way to be found out, and need not take long.
const IMPATIENT: Form = { name: 'short', patienceMs: 3_000 }

const brokers = async (place: Place): Promise<BrokerUrls> => ({
  redis: redisUrl(),
  prefix: bullmqPrefix(),
  amqp: place === 'RabbitMQ' ? await amqpUrl() : '',
})

const ROWS = FAULTS.flatMap((fault) =>
  fault.places.map((place) => ({ fault, place, title: `${fault.name}, ${place}` })),
)

describe('taskspan survives', () => {
  it.each(ROWS)('$title', { timeout: 180_000 }, async ({ fault, place }) => {
    const setting = { place, form: SHORT, contender: 'taskspan' as const, brokers: await brokers(place) }
    const { tried, survived, lost } = await tryOut({ ...setting, fault })
    expect(lost).toEqual([])
    expect(tried).toBeGreaterThan(0)
    expect(survived).toBe(tried)
  })
})

describe('a careless contender is found out', () => {
  it.each(ROWS.filter(({ fault, place }) => concerns(fault, 'careless', place)))(
    '$title',
    { timeout: 180_000 },
    async ({ fault, place }) => {
      const setting = { place, form: IMPATIENT, contender: 'careless' as const, brokers: await brokers(place) }
      const { lost } = await tryOut({ ...setting, fault, untilLost: true })
      expect(lost).toHaveLength(1)
    },
  )
})
