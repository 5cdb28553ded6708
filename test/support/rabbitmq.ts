// A test file's way to this run's RabbitMQ.
import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { createVhost } from '../../scripts/brokers/index.ts'
import type { Offer } from './global-setup.ts'

let ofThisFile: Promise<string> | undefined

/** The AMQP URL of this test file's own vhost. Ask in `beforeAll`: the first one to ask may wait for the broker. */
export function amqpUrl(): Promise<string> {
  ofThisFile ??= newVhostUrl()
  return ofThisFile
}

/** The AMQP URL of one more vhost, empty and seen by nobody else. */
export async function newVhostUrl(): Promise<string> {
  const { run } = inject('brokers')
  const { url, managementUrl } = await rabbitMq()
  return createVhost(url, managementUrl, `${run}-${randomBytes(4).toString('hex')}`)
}

/** The management HTTP API, credentials included. Its numbers lag by seconds. */
export async function rabbitMqManagementUrl(): Promise<string> {
  return (await rabbitMq()).managementUrl
}

async function rabbitMq(): Promise<{ url: string; managementUrl: string }> {
  const response = await fetch(inject('brokers').rabbitMqOffice)
  const offer = (await response.json()) as Offer
  if ('error' in offer) throw new Error(`This test needs RabbitMQ. ${offer.error}`)
  const { url, managementUrl } = offer
  if (managementUrl === undefined) throw new Error('RabbitMQ was offered without its management API')
  return { url, managementUrl }
}
