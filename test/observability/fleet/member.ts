// What every process of the fleet is: an SDK, telemetry, a server to be scraped, and a ledger of what it really did.
import type { ConnectionOptions } from 'bullmq'
import { type Sdk, start } from 'taskspan/sdk'
import { serve } from 'taskspan/server'
import { type Telemetry, type TelemetryOptions, telemetry } from 'taskspan/telemetry'
import type { Watch } from 'taskspan/watch'

/** Where everything is: given by the test. */
export interface Place {
  readonly redis: ConnectionOptions
  readonly prefix: string
  readonly amqp: string
  readonly management: string
  /** On which this process is scraped. */
  readonly port: number
}

export interface Member {
  readonly place: Place
  readonly sdk: Sdk
  readonly t: Telemetry
  /** Serves what there is; tells the test that this process is ready. */
  open(watch?: Watch): Promise<void>
}

// A container's limit, also where the tests run in none.
process.constrainedMemory = () => 512 * 1024 * 1024

export function member(worker: string, options: TelemetryOptions = {}): Member {
  const place = JSON.parse(String(process.argv[2])) as Place
  const sdk = start({ app: 'shop', worker, version: '1.4.2', environment: 'test' })
  const t = telemetry(options)
  return {
    place,
    sdk,
    t,
    async open(watch) {
      await serve({ telemetry: t, sdk, port: place.port, ...(watch && { watch }) })
      tell({ ready: true })
    },
  }
}

// Written by the handlers themselves, by hand: it knows nothing of telemetry, and telemetry is held against it.
const ledger = new Map<string, number>()

/** `render_clip success`, `step transcribe retry`, `whisper gpu_seconds`. */
export function did(what: string, amount = 1): void {
  ledger.set(what, (ledger.get(what) ?? 0) + amount)
}

export function tell(message: object): void {
  process.send?.(message)
}

const orders = new Map<string, () => void>([['report', () => tell({ ledger: Object.fromEntries(ledger) })]])

/** What this process does when the test says this word. */
export function on(order: string, run: () => unknown): void {
  orders.set(order, () => void run())
}

process.on('message', (order: string) => orders.get(order)?.())
process.on('disconnect', () => process.exit()) // the test is gone

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
