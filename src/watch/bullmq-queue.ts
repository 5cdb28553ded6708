// A BullMQ queue on any backend, read through BullMQ's own backend interface: nothing is taken, nothing is written.
import { fault } from '../kernel/faults.ts'
import type { Workers } from './bullmq-workers.ts'
import type { Reading } from './gauges.ts'
import { JobHeads } from './job-heads.ts'
import type { Schedules } from './schedules.ts'
import { type QueueState, queueReadings, type Source } from './source.ts'

/** As much of BullMQ's `IQueueBackend` as watch() asks. */
export interface QueueBackend {
  readonly closing: Promise<void> | undefined
  readonly qualifiedName: string
  clientName(suffix?: string): string
  getCounts(types: readonly string[], delayedTimestamp?: number): Promise<number[]>
  getCountsPerPriority(priorities: readonly number[]): Promise<number[]>
  getRanges(types: readonly string[], start?: number, end?: number, asc?: boolean): Promise<readonly string[][]>
  getJobData(jobId: string): Promise<BackendJob | undefined>
  getDependencyCounts(jobId: string, types: readonly string[]): Promise<number[]>
  hasQueueMetaField(field: string): Promise<boolean>
  getRateLimitTtl(maxJobs?: number): Promise<number>
  isMaxed(): Promise<boolean>
  getClientList(): Promise<string[]>
  getJobSchedulersRange(start: number, end: number, asc: boolean): Promise<string[]>
  getJobSchedulerData(key: string): Promise<Record<string, string>>
}

export interface BackendJob {
  readonly timestamp: number
  readonly opts: object | string
  readonly attemptsMade?: number | undefined
  readonly attemptsStarted?: number | undefined
  readonly finishedOn?: number | undefined
}

/** A BullMQ `Queue`, on Redis or PostgreSQL. */
export interface BullmqQueue {
  readonly name: string
  readonly opts: object
  getBackend(): QueueBackend
}

const STATES = ['wait', 'paused', 'prioritized', 'active', 'delayed', 'waiting-children', 'failed'] as const

export class BullmqSource implements Source<QueueState> {
  readonly system = 'bullmq'
  readonly queue: string
  private readonly heads = new JobHeads()

  /**
   * @param members every queue and worker object of this queue: one that is open is asked
   * @param workers those of them that work here
   */
  constructor(
    private readonly members: readonly BullmqQueue[],
    private readonly workers: Workers,
    private readonly schedules: Schedules,
    private readonly priorities: readonly number[],
  ) {
    this.queue = members[0]?.name ?? ''
  }

  ended(): boolean {
    return this.open() === undefined
  }

  forget(): void {
    this.heads.forget()
    this.workers.forget()
  }

  readings(state: QueueState): Iterable<Reading> {
    return [...queueReadings(this.queue, state), ...this.schedules.readings()]
  }

  async look(): Promise<QueueState> {
    const member = this.open()
    const backend = member?.getBackend()
    if (member === undefined || backend === undefined) throw new Error(`The queue ${this.queue} is closed.`)
    const [counts, paused] = await Promise.all([backend.getCounts(STATES), backend.hasQueueMetaField('paused')])
    const count = Object.fromEntries(STATES.map((state, at) => [state, counts[at] ?? 0])) as Record<States, number>
    // A delayed job becomes a waiting one when a worker looks for work: without a worker it is only overdue.
    const overdue = count.delayed > 0 && tellsOverdue(backend) ? await overdueOf(backend) : 0
    const ready = count.wait + count.prioritized + overdue

    // PostgreSQL's backend counts those of a paused queue as paused, and lists them as waiting.
    const wait = count.wait === 0 ? count.paused : count.wait
    const heads = await part('age', () => this.heads.look(backend, { ...count, wait, overdue }))
    const consumers = await part('consumers', () => consumersOf(member, backend))
    const held = paused ? 'paused' : ready > 0 ? await part('limits', () => this.held(backend)) : undefined
    await part('schedules', () => this.schedules.look(backend))
    return {
      depth: {
        // As PostgreSQL's backend says it; on Redis they stay in the same list.
        waiting: paused ? 0 : count.wait,
        paused: count.paused + (paused ? count.wait : 0),
        prioritized: count.prioritized,
        active: count.active,
        delayed: count.delayed,
        waiting_children: count['waiting-children'],
        failed: count.failed,
      },
      priorities: await part('priorities', () => this.perPriority(backend)),
      oldestAgeMs: heads?.oldestAgeMs,
      consumers,
      paused,
      stuck: this.workers.judge({ ready, held, active: count.active, consumers, head: heads?.next }),
    }
  }

  private open(): BullmqQueue | undefined {
    return this.members.find((member) => member.getBackend().closing === undefined)
  }

  private async held(backend: QueueBackend): Promise<'limited' | 'maxed' | undefined> {
    const waits = await Promise.all(this.workers.rateLimits().map((max) => backend.getRateLimitTtl(max)))
    if (waits.some((ms) => ms > 0)) return 'limited'
    return (await backend.isMaxed()) ? 'maxed' : undefined
  }

  private async perPriority(backend: QueueBackend): Promise<Record<string, number> | undefined> {
    if (this.priorities.length === 0) return undefined
    const counts = await backend.getCountsPerPriority(this.priorities)
    return Object.fromEntries(this.priorities.map((priority, at) => [String(priority), counts[at] ?? 0]))
  }
}

type States = (typeof STATES)[number]

// An answer that only one part of the picture needs may fail by itself: a client that may not list clients, for one.
async function part<T>(what: string, ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    fault('watch', what, error)
    return undefined
  }
}

// A version of BullMQ that does not know the second parameter would count all delayed jobs.
function tellsOverdue(backend: QueueBackend): boolean {
  return backend.getCounts.length >= 2
}

async function overdueOf(backend: QueueBackend): Promise<number> {
  const [overdue = 0] = await backend.getCounts(['delayed'], Date.now())
  return overdue
}

/** Workers by the names of their connections; undefined where they have none. */
async function consumersOf({ opts }: BullmqQueue, backend: QueueBackend): Promise<number | undefined> {
  // A pool that is not node-postgres' own (PGlite) may be one session for all, under the name given last.
  const { connection } = opts as { connection?: unknown }
  if (!('redisVersion' in backend) && isPool(connection) && !('totalCount' in connection)) return undefined
  const name = backend.clientName()
  if (name.length > MAX_CLIENT_NAME) return undefined
  const lists = await backend.getClientList()
  if (lists.length === 0) return undefined
  // In a cluster each node lists its own clients, and the worker waits on one of them.
  return Math.max(...lists.map((list) => list.split(/\r?\n/).filter((line) => isWorker(line, name)).length))
}

// PostgreSQL cuts the name of a session.
const MAX_CLIENT_NAME = 60

function isWorker(line: string, name: string): boolean {
  const found = (/^name=(.*)$/.exec(line) ?? / name=(\S*)/.exec(line))?.[1]
  return found === name || found?.startsWith(`${name}:w:`) === true
}

function isPool(connection: unknown): connection is object {
  return typeof (connection as { connect?: unknown } | undefined)?.connect === 'function'
}
