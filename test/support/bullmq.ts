// Queues, workers and flows of one test on the run's Redis, closed when the test ends.
import { randomBytes } from 'node:crypto'
import {
  type ConnectionOptions,
  FlowProducer,
  type Job,
  type Processor,
  Queue,
  type QueueBaseOptions,
  type QueueOptions,
  Worker,
  type WorkerOptions,
} from 'bullmq'
import { onTestFinished } from 'vitest'
import { bullmqPrefix, redisConnection } from './redis.ts'

// biome-ignore lint/suspicious/noExplicitAny: tests read whatever data and results they wrote
type Any = any

/** A queue name that no other test uses. */
export function queueName(base = 'queue'): string {
  return `${base}-${randomBytes(3).toString('hex')}`
}

/** Where everything in this test file lives. */
export const own = (): { connection: ConnectionOptions; prefix: string } => ({
  connection: redisConnection() as ConnectionOptions, // ioredis allows an explicit undefined, BullMQ's types do not
  prefix: bullmqPrefix(),
})

export function openQueue<Name extends string = string>(
  name: string,
  options: Partial<QueueOptions> = {},
): Queue<Any, Any, Name> {
  return closedAfterTest(new Queue<Any, Any, Name>(name, { ...own(), ...options }))
}

export function openWorker(
  queue: string,
  processor: Processor<Any, Any, string> | null,
  options: Partial<WorkerOptions> = {},
): Worker<Any, Any, string> {
  const worker = new Worker<Any, Any, string>(queue, processor, { ...own(), ...options })
  worker.on('error', () => {}) // else BullMQ prints it
  return closedAfterTest(worker)
}

export function openFlow(options: Partial<QueueBaseOptions> = {}): FlowProducer {
  return closedAfterTest(new FlowProducer({ ...own(), ...options }))
}

function closedAfterTest<T extends { close(force?: boolean): Promise<void> }>(opened: T): T {
  onTestFinished(() => opened.close())
  return opened
}

export interface Ended {
  readonly event: 'completed' | 'failed'
  readonly job: Job<Any, Any, string>
  /** The result, or the error. */
  readonly value: unknown
}

/** Resolves with the next `count` jobs that the worker reports as completed or failed. Call it before the jobs run. */
export function ended(worker: Worker<Any, Any, string>, count = 1): Promise<Ended[]> {
  const all: Ended[] = []
  return new Promise((resolve) => {
    const add = (event: Ended['event']) => (job: Job | undefined, value: unknown) => {
      if (job === undefined) return
      all.push({ event, job, value })
      if (all.length === count) resolve(all)
    }
    worker.on('completed', add('completed'))
    worker.on('failed', add('failed'))
  })
}

/** Resolves with the arguments of the next event of this name. */
export function emitted(source: { once(event: never, listener: never): unknown }, event: string): Promise<unknown[]> {
  return new Promise((resolve) => source.once(event as never, ((...args: unknown[]) => resolve(args)) as never))
}
