// The demo's broker: real BullMQ, on the Redis of REDIS_URL or else on a PostgreSQL inside this process.
import {
  type BackendFactory,
  createPostgresBackend,
  createRedisBackend,
  type FlowProducer,
  type FlowProducerOptions,
  type IQueueBackend,
  type Processor,
  type Queue,
  type QueueEvents,
  type QueueEventsOptions,
  type QueueOptions,
  type Worker,
  type WorkerOptions,
  withBackend,
} from 'bullmq'
import { pglitePool } from './pglite-pool.ts'
import { openDatabase, type Progress } from './pglite-template.ts'
import { connectRedis } from './redis-connection.ts'

type Own = 'connection' | 'prefix'

/** One place to get queues and workers from, whatever they run on, and one `close()` for all of them. */
export interface Broker {
  readonly kind: 'redis' | 'embedded'
  readonly describe: string
  queue<Data = unknown, Result = unknown, Name extends string = string>(
    name: string,
    options?: Omit<QueueOptions, Own>,
  ): Queue<Data, Result, Name>
  worker<Data = unknown, Result = unknown, Name extends string = string>(
    name: string,
    processor: Processor<Data, Result, Name>,
    options?: Omit<WorkerOptions, Own>,
  ): Worker<Data, Result, Name>
  flow(options?: Omit<FlowProducerOptions, Own>): FlowProducer
  events(name: string, options?: Omit<QueueEventsOptions, Own>): QueueEvents
  /** Lets the workers finish the tasks they have, then closes everything that came from this broker. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export function openBroker(progress: Progress = () => {}): Promise<Broker> {
  const url = process.env.REDIS_URL
  return url ? openRedis(url) : openEmbedded(progress)
}

// On PostgreSQL, BullMQ 6.7's QueueEvents miss what happens between a look at the stream and the wait for more: the first
// event comes 10 s late, or never. So they start from the stream's beginning (this database is new) and look often.
const promptEvents = { lastEventId: '0', blockingTimeout: 250 }

/** `cache` is the folder in which the first run leaves a snapshot for the next one. */
export async function openEmbedded(progress: Progress = () => {}, cache?: string): Promise<Broker> {
  const pool = pglitePool(await openDatabase(progress, cache))
  const describe = 'BullMQ on an embedded PostgreSQL (in memory, nothing to install)'
  return broker('embedded', describe, createPostgresBackend, { connection: pool }, () => pool.end(), promptEvents)
}

export async function openRedis(url: string): Promise<Broker> {
  const { connection, prefix, where, release } = await connectRedis(url)
  return broker('redis', `BullMQ on Redis at ${where}`, createRedisBackend, { connection, prefix }, release)
}

function broker<Backend extends IQueueBackend, Connection>(
  kind: Broker['kind'],
  describe: string,
  factory: BackendFactory<Backend, Connection>,
  shared: { connection: Connection; prefix?: string },
  release: () => Promise<void>,
  eventDefaults: Partial<QueueEventsOptions> = {},
): Broker {
  // BullMQ types a queue by its backend, invariantly. The demo's code is what a reader writes against Redis, so it
  // gets Redis's types; only `getBackend()` and `opts.connection` would tell the difference.
  const { Queue, Worker, FlowProducer, QueueEvents } = withBackend(factory as unknown as typeof createRedisBackend)
  const own = shared as unknown as Pick<QueueOptions, Own>

  type Closable = { close(): Promise<void> }
  const workers: Closable[] = []
  const others: Closable[] = []
  const keep = <Opened extends Closable>(list: Closable[], opened: Opened): Opened => {
    list.push(opened)
    return opened
  }

  async function closeAll(): Promise<void> {
    try {
      // Workers first, while the queues that their last tasks may still write to are open.
      await Promise.all(workers.map((worker) => worker.close()))
      await Promise.all(others.map((other) => other.close()))
    } finally {
      await release()
    }
  }
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= closeAll()
    return closing
  }

  return {
    kind,
    describe,
    queue: (name, options) => keep(others, new Queue(name, { ...options, ...own })),
    worker: (name, processor, options) => keep(workers, new Worker(name, processor, { ...options, ...own })),
    flow: (options) => keep(others, new FlowProducer({ ...options, ...own })),
    events: (name, options) => keep(others, new QueueEvents(name, { ...eventDefaults, ...options, ...own })),
    close,
    [Symbol.asyncDispose]: close,
  }
}
