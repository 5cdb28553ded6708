// The short form of each row, as tests: taskspan survives all of it, and the careless contender shows that the row can tell.
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

const brokersOf = async (place: Place): Promise<BrokerUrls> => ({
  redis: redisUrl(),
  prefix: bullmqPrefix(),
  amqp: place === 'RabbitMQ' ? await amqpUrl() : '',
})

/** The tests of one place: each has a file of its own, so that they run side by side. */
export function shortForm(place: Place): void {
  const rows = FAULTS.filter(({ places }) => places.includes(place))

  describe('taskspan survives', () => {
    it.each(rows)('$name', { timeout: 180_000 }, async (fault) => {
      const setting = { place, form: SHORT, contender: 'taskspan' as const, brokers: await brokersOf(place) }
      const { tried, survived, lost } = await tryOut({ ...setting, fault })
      expect(lost).toEqual([])
      expect(tried).toBeGreaterThan(0)
      expect(survived).toBe(tried)
    })
  })

  describe('a careless contender is found out', () => {
    const found = rows.filter((fault) => concerns(fault, 'careless', place))
    it.each(found)('$name', { timeout: 180_000 }, async (fault) => {
      const setting = { place, form: IMPATIENT, contender: 'careless' as const, brokers: await brokersOf(place) }
      const { lost } = await tryOut({ ...setting, fault, untilLost: true })
      expect(lost).toHaveLength(1)
    })
  })
}
