// The jobs that a BullMQ queue would hand out next, and how long they have been ready.
import type { BackendJob, QueueBackend } from './bullmq-queue.ts'

export interface HeadCounts {
  readonly wait: number
  readonly prioritized: number
  readonly overdue: number
}

export interface Heads {
  /** The id of the job that is handed out next. */
  readonly next: string | undefined
  readonly oldestAgeMs: number | undefined
}

interface Head {
  readonly id: string
  /** When we first saw it here. */
  readonly seenAt: number
  readonly readyAt: number | undefined
}

type State = 'wait' | 'prioritized' | 'delayed'

// A list that moves while it is asked must still give its last one.
const SLACK = 10
const CHILDREN = ['processed', 'unprocessed', 'ignored', 'failed'] as const

export class JobHeads {
  private readonly heads = new Map<State, Head>()

  /** The plain queue comes before the prioritized one; the age is that of the older of both. */
  async look(backend: QueueBackend, { wait, prioritized, overdue }: HeadCounts): Promise<Heads> {
    // BullMQ puts new jobs at the beginning of the list and takes from its end, on both backends.
    await this.see(backend, 'wait', wait > 0 && (await last(backend, wait)))
    await this.see(backend, 'prioritized', prioritized > 0 && (await first(backend, 'prioritized')))
    await this.see(backend, 'delayed', overdue > 0 && (await first(backend, 'delayed')))
    const heads = (['wait', 'prioritized', 'delayed'] as const).flatMap((state) => this.heads.get(state) ?? [])
    const now = Date.now()
    const ages = heads.map(({ readyAt, seenAt }) => now - (readyAt ?? seenAt))
    return { next: heads[0]?.id, oldestAgeMs: ages.length === 0 ? undefined : Math.max(0, ...ages) }
  }

  forget(): void {
    this.heads.clear()
  }

  private async see(backend: QueueBackend, state: State, id: string | false | undefined): Promise<void> {
    if (id === false || id === undefined) this.heads.delete(state)
    else if (this.heads.get(state)?.id !== id) {
      this.heads.set(state, { id, seenAt: Date.now(), readyAt: await readyAt(backend, id) })
    }
  }
}

async function last(backend: QueueBackend, count: number): Promise<string | undefined> {
  const [ids] = await backend.getRanges(['wait'], Math.max(0, count - SLACK), count - 1, false)
  return ids?.at(-1)
}

async function first(backend: QueueBackend, state: State): Promise<string | undefined> {
  const [ids] = await backend.getRanges([state], 0, 0, true)
  return ids?.[0]
}

/**
 * When a job became ready; undefined where nothing says so: after a retry or a stall, and for a parent, which was added
 * before its children ended. Its age then counts from when we first saw it here.
 */
async function readyAt(backend: QueueBackend, id: string): Promise<number | undefined> {
  const tick = tickOf(id)
  const job = await backend.getJobData(id)
  if (job === undefined || (job.attemptsStarted ?? 0) > 0 || (job.attemptsMade ?? 0) > 0) return undefined
  if (tick !== undefined) return tick.time
  const children = await backend.getDependencyCounts(id, CHILDREN)
  return children.some((count) => count > 0) ? undefined : job.timestamp + delayOf(job)
}

function delayOf({ opts }: BackendJob): number {
  const { delay } = (typeof opts === 'string' ? JSON.parse(opts) : opts) as { delay?: unknown }
  return typeof delay === 'number' && delay > 0 ? delay : 0
}

/** The schedule and the planned time of a scheduler's job; a schedule's id may itself contain colons. */
export function tickOf(id: string): { readonly schedule: string; readonly time: number } | undefined {
  const [, schedule, time] = /^repeat:(.+):(\d+)$/.exec(id) ?? []
  return schedule === undefined ? undefined : { schedule, time: Number(time) }
}
