// A BullMQ queue as the suite's channel; the same for every backend.
import {
  DelayedError,
  type Job,
  type JobsOptions,
  type Processor,
  type Queue,
  type Worker,
  type WorkerOptions,
} from 'bullmq'
import type { Middleware } from 'taskspan'
import { bullmq } from 'taskspan/bullmq'
import type { Channel, Fate, Harness, Message } from './harness.ts'

export interface Backend {
  queue(): Queue
  worker(queue: string, processor: Processor, options: Partial<WorkerOptions>): Worker
}

export function bullmqChannel({ queue: openQueue, worker: openWorker }: Backend, middleware: Middleware): Channel {
  const queue = openQueue()
  const instrument = bullmq(middleware)
  const fates: Fate[] = []
  const checks = new Set<() => void>()
  const add = (fate: Fate): void => {
    fates.push(fate)
    for (const check of checks) check()
  }
  let worker: Worker | undefined

  return {
    queue: queue.name,
    async consume(handler) {
      // Three parameters, so that BullMQ hands over a signal.
      const processor = async (job: Job, token: string | undefined, _signal: AbortSignal | undefined) =>
        handler({
          name: job.name,
          body: job.data,
          cancel: () => void worker?.cancelJob(String(job.id)),
          async defer() {
            await job.moveToDelayed(Date.now() + 60_000, token)
            return new DelayedError()
          },
        })
      worker = openWorker(queue.name, instrument(processor), { concurrency: 4, drainDelay: 1 })
      worker.on('error', () => {})
      worker.on('completed', () => add('done'))
      worker.on('failed', (job) => add(job?.finishedOn === undefined ? 'again' : 'given_up'))
      await worker.waitUntilReady()
    },
    async publish(message) {
      await queue.add(message.name, message.body ?? {}, optionsOf(message))
    },
    settled(count) {
      return new Promise((resolve) => {
        const check = (): void => {
          if (fates.length < count) return
          checks.delete(check)
          resolve(fates.slice(0, count))
        }
        checks.add(check)
        check()
      })
    },
    async close() {
      await worker?.close()
      await queue.close()
    },
  }
}

function optionsOf({ headers, raw, attempts }: Message): JobsOptions {
  const metadata = raw ?? (headers === undefined ? undefined : JSON.stringify(headers))
  return {
    ...(attempts !== undefined && { attempts }),
    ...(metadata !== undefined && { telemetry: { metadata: metadata as string } }),
  }
}

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

/** All that the suite must know of BullMQ but how to open it. */
export const bullmqTraits: Omit<Harness, 'title' | 'open'> = {
  system: 'bullmq',
  defers: true,
  cancels: true,
  attributes: { 'taskiq.max_attempts': 1 },
  hostile: [
    { title: 'metadata that is no JSON', raw: 'not json' },
    { title: 'metadata that ends in the middle', raw: `{"traceparent":"${TRACEPARENT}` },
    { title: 'metadata that is a list', raw: `["${TRACEPARENT}"]` },
    { title: 'metadata that is a JSON string', raw: `"${TRACEPARENT}"` },
    { title: 'metadata that is JSON null', raw: 'null' },
    { title: 'metadata that is a JSON number', raw: '42' },
    { title: 'metadata of 10,000 brackets', raw: '['.repeat(10_000) },
    {
      title: 'metadata of 100,000 characters',
      raw: JSON.stringify({ traceparent: TRACEPARENT, note: 'x'.repeat(1e5) }),
    },
    { title: 'metadata that is a number', raw: 7 },
    { title: 'metadata that is true', raw: true },
    { title: 'metadata that is an object', raw: { traceparent: TRACEPARENT } },
  ],
}
