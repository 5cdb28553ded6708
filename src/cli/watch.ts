// `taskspan watch`: watch() and serve() in a process of their own, so that a fleet that is dead is still seen.
import { notify } from '../kernel/compose.ts'
import { identity, setIdentity } from '../kernel/identity.ts'
import { serve } from '../server/index.ts'
import { type Telemetry, telemetry } from '../telemetry.ts'
import { type BullmqQueue, type WatchOptions, watch } from '../watch/index.ts'
import { type Flags, readFlags } from './flags.ts'
import { UsageError } from './usage.ts'

/** Runs until SIGINT or SIGTERM. */
export async function runWatch(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const flags = readFlags(args, env)
  const me = identity()
  if (me.service === 'unknown_service')
    setIdentity({ ...me, app: 'taskspan', worker: 'watch', service: 'taskspan-watch' })
  const t = telemetry({ tracing: false })
  const queues = await openQueues(flags, t)
  const { host, port } = flags
  const w = watch({ telemetry: t, queues, ...optionsOf(flags) })
  const server = await serve({ telemetry: t, watch: w, host, port })

  await signal()
  await server.close()
  await w.close()
  // A queue whose broker is down may take long to close; nothing that it does still matters here.
  const closed = Promise.allSettled(queues.map((queue) => queue.close()))
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 1_000))])
  process.exit()
}

function optionsOf(flags: Flags): Omit<WatchOptions, 'telemetry' | 'queues'> {
  const { amqp, amqpQueues, management, priorities, intervalMs, stuckAfterMs } = flags
  return {
    rabbitmq: amqp === undefined ? undefined : { connection: amqp, queues: amqpQueues, managementUrl: management },
    priorities,
    intervalMs,
    stuckAfterMs,
  }
}

interface OpenQueue extends BullmqQueue {
  close(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
}

async function openQueues({ redis, postgres, queues, prefix }: Flags, t: Telemetry): Promise<OpenQueue[]> {
  if (queues.length === 0) return []
  const { createPostgresBackend, Queue, withBackend } = await loadBullmq()
  const open = (name: string): OpenQueue => {
    if (postgres !== undefined) {
      const OnPostgres = withBackend(createPostgresBackend).Queue
      return new OnPostgres(name, { connection: { connectionString: postgres, max: 1 }, ...READ_ONLY })
    }
    // An answer or an error soon, and back soon after the broker is.
    const retryStrategy = (times: number): number => Math.min(times * 500, 5_000)
    const connection = { url: redis ?? '', maxRetriesPerRequest: 1, retryStrategy }
    return new Queue(name, { connection, ...(prefix !== undefined && { prefix }), ...READ_ONLY })
  }
  return queues.map((name) => {
    const queue = open(name)
    sayErrors(queue, t)
    return queue
  })
}

/** Its client tries again every few seconds: who has been quiet for so long was connected in between. */
const QUIET_MS = 30_000

// A client that cannot connect goes on trying, and answers nobody: only here it says why, again and again.
export function sayErrors(queue: Pick<OpenQueue, 'name' | 'on'>, t: Telemetry): void {
  let said: string | undefined
  let heardAt = 0
  queue.on('error', (error) => {
    const isSaid = error.message === said && performance.now() - heardAt < QUIET_MS
    heardAt = performance.now()
    if (isSaid) return
    said = error.message
    notify(t, { kind: 'broker', system: 'bullmq', queue: queue.name, event: 'error', error })
  })
}

// Else BullMQ writes a key for each queue object, also for a queue that is misspelt.
const READ_ONLY = { skipMetasUpdate: true }

async function loadBullmq(): Promise<typeof import('bullmq')> {
  try {
    return await import('bullmq')
  } catch {
    throw new UsageError(
      "BullMQ's queues need the package 'bullmq' and, on Redis, 'ioredis': npm install bullmq ioredis",
    )
  }
}

function signal(): Promise<unknown> {
  return new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, resolve)
  })
}
