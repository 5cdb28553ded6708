// taskspan, with an adapter as its guide shows one. Runs the build in dist.
import { consumer } from 'taskspan'
import { logger } from 'taskspan/logging'
import { telemetry } from 'taskspan/telemetry'

const memory = {
  system: 'memory',
  read: ({ name, queue, id, attempt, maxAttempts, sentAt, headers }) => ({
    name,
    queue,
    id,
    attempt,
    maxAttempts,
    waitMs: Date.now() - sentAt,
    carrier: headers,
  }),
}

/** @param level of the log lines; undefined for none */
export function ours(handler, level, registry) {
  // Lines are made in full and thrown away, as the spans are.
  const options = level === undefined ? { logging: false } : { logger: logger({ level }, { write() {} }) }
  const consume = consumer(memory, telemetry({ ...options, registry }))
  return (message) => consume(message, () => handler(message))
}
