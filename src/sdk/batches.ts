// How much may wait for a backend, and for how long: by the standard's variables, where these say what can be.
import { env } from './environment.ts'
import { type Exporter, otlpEnv, type Signal } from './protocol.ts'

/** What the SDK's batch processors take. */
export interface BatchLimits {
  readonly maxQueueSize: number
  readonly maxExportBatchSize: number
  readonly scheduledDelayMillis: number
  readonly exportTimeoutMillis: number
}

const VARIABLES: Readonly<Record<Signal, readonly [prefix: string, delayMs: number]>> = {
  traces: ['OTEL_BSP', 5_000],
  logs: ['OTEL_BLRP', 1_000],
}

/** Checked here, for the SDK takes any number: with batches of 0 it sends without end. */
export function batchLimits(signal: Signal): BatchLimits {
  const [prefix, delayMs] = VARIABLES[signal]
  const limit = (value: string | undefined, otherwise: number, least = 1): number => {
    const number = Number(value)
    return Number.isInteger(number) && number >= least ? number : otherwise
  }
  const given = (name: string, otherwise: number, least?: number): number =>
    limit(env(`${prefix}_${name}`), otherwise, least)

  const maxQueueSize = given('MAX_QUEUE_SIZE', 2_048)
  return {
    maxQueueSize,
    maxExportBatchSize: Math.min(given('MAX_EXPORT_BATCH_SIZE', 512), maxQueueSize),
    scheduledDelayMillis: given('SCHEDULE_DELAY', delayMs, 0),
    // Never before the exporter's own time-out, of which we hear.
    exportTimeoutMillis: Math.max(given('EXPORT_TIMEOUT', 30_000), limit(otlpEnv(signal, 'TIMEOUT'), 10_000) + 1_000),
  }
}

export interface Bounded<Item> {
  readonly exporter: Required<Exporter<Item>>
  /** What comes now would be dropped. */
  isFull(): boolean
  /** One more waits. */
  add(): void
}

/** Counts what waits for an exporter: the SDK's processors drop what is too much, and tell nobody. */
export function bounded<Item>(exporter: Required<Exporter<Item>>, { maxQueueSize }: BatchLimits): Bounded<Item> {
  let waiting = 0
  return {
    exporter: {
      ...exporter,
      export(items, done) {
        waiting -= items.length
        exporter.export(items, done)
      },
    },
    isFull: () => waiting >= maxQueueSize,
    add() {
      waiting++
    },
  }
}
