// Watches of one test, closed when the test ends.
import type { Queue, Worker } from 'bullmq'
import { type Watch, type WatchOptions, watch } from 'taskspan/watch'
import { onTestFinished } from 'vitest'
import { type Recorded, record } from '../support/record.ts'

export interface Watched extends Recorded {
  readonly w: Watch
}

/** Recorders and a watch that looks only when `w.sample()` says so, unless given an interval. */
export async function watched(options: Omit<WatchOptions, 'telemetry'>): Promise<Watched> {
  const recorded = await record()
  return { ...recorded, w: watching({ telemetry: recorded.t, ...options }) }
}

export function watching(options: WatchOptions): Watch {
  const w = watch({ intervalMs: 3_600_000, ...options })
  onTestFinished(() => w.close())
  return w
}

// biome-ignore lint/suspicious/noExplicitAny: BullMQ's own default for what a test does not care about
type Any = any

/** One of BullMQ's backends, as the tests of the watch need it. */
export interface Backend {
  queue(name: string): Queue
  worker(name: string, processor: ((job: Any) => Promise<Any>) | null, options?: object): Worker
}

/** A worker whose jobs run until the test opens the gate, or ends. */
export function holdingWorker(backend: Backend, queue: string, options: object = {}): { worker: Worker; open(): void } {
  let open = (): void => {}
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  const worker = backend.worker(queue, () => passed, options)
  onTestFinished(() => open()) // after the worker's own, so before it: the last to be registered is the first to run
  return { worker, open: () => open() }
}
