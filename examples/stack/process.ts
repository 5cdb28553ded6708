// How each process of the demo stack begins and ends: an SDK, telemetry, its queues under watch, and /metrics.
import { type Closable, type Sdk, start } from 'taskspan/sdk'
import { serve } from 'taskspan/server'
import { type Telemetry, telemetry } from 'taskspan/telemetry'
import { type WatchOptions, watch } from 'taskspan/watch'

export const redisUrl = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
export const amqpUrl = process.env.AMQP_URL ?? 'amqp://127.0.0.1'
/** BullMQ's own default, unless two demos share a Redis. */
export const prefix = process.env.DEMO_PREFIX ?? 'bull'

/** What the worker is asked to do. */
export interface Clip {
  readonly clip: number
}

export interface Begun {
  readonly sdk: Sdk
  readonly t: Telemetry
}

/** The service is `shop-<worker>`; one `.env` serves them all. */
export function begin(worker: string): Begun {
  const sdk = start({ app: 'shop', worker })
  return { sdk, t: telemetry({ correlation: ['request_id'] }) }
}

/** Serves /metrics, /health and /ready on TASKSPAN_HOST and TASKSPAN_PORT until a signal comes, then drains `workers`. */
export async function serveUntilSignal(
  { sdk, t }: Begun,
  workers: readonly Closable[],
  watched: Omit<WatchOptions, 'telemetry'>,
  last: readonly Closable[] = [],
): Promise<void> {
  const w = watch({ telemetry: t, ...watched })
  const server = await serve({ telemetry: t, sdk, watch: w })
  sdk.closeOnSignal({ workers, last: [server, w, ...last], graceMs: 5_000 })
}

/** True for about `share` of the calls: the demo's mishaps. */
export function sometimes(share: number): boolean {
  return Math.random() < share
}
