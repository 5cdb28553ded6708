// The workers of one BullMQ queue in this process: which of them is deaf, and, where none is here, whether anybody hears.
import type { Task } from '../kernel/task.ts'
import type { BullmqQueue } from './bullmq-queue.ts'
import type { Tell } from './lookout.ts'
import { Steady } from './steady.ts'
import { StuckLine } from './stuck.ts'

/** A BullMQ `Worker`. */
export interface BullmqWorker extends BullmqQueue {
  readonly concurrency: number
  isPaused(): boolean
  isRunning(): boolean
  on(event: 'active' | 'closing', listener: () => void): unknown
  off(event: 'active' | 'closing', listener: () => void): unknown
}

export interface WorkerSnapshot {
  readonly queue: string
  readonly running: number
  readonly concurrency: number
  readonly paused: boolean
  readonly closing: boolean
  readonly stuck: boolean
  /** For how long it could have taken a message and did not, in ms. */
  readonly idleMs: number
}

/** What a look at the queue says about the work that is there. */
export interface Work {
  readonly ready: number
  /** Why nobody may take anything; `maxed` is the queue's own limit of concurrency. */
  readonly held: 'paused' | 'limited' | 'maxed' | undefined
  readonly active: number
  readonly consumers: number | undefined
  /** The id of the job that is handed out next. */
  readonly head: string | undefined
}

export interface WorkersOptions {
  readonly queue: string
  readonly stuckAfterMs: number
  readonly running: ReadonlySet<Task>
  readonly tell: Tell
}

export class Workers {
  private readonly all: WorkerWatch[]
  private readonly outside = new Steady()
  private head: string | undefined
  private readonly line: StuckLine

  constructor(
    workers: readonly BullmqWorker[],
    private readonly options: WorkersOptions,
  ) {
    this.all = workers.map((worker) => new WorkerWatch(worker, options))
    this.line = new StuckLine(options.queue, options.tell)
  }

  /** The limits to ask the queue about: it tells a rate limit only to those who know theirs. */
  rateLimits(): (number | undefined)[] {
    return this.all.length === 0 ? [undefined] : [...new Set(this.all.map((each) => each.rateLimit))]
  }

  /** Whether work is ready that should have been taken; undefined where that cannot be told. */
  judge(work: Work): boolean | undefined {
    const open = this.all.filter((each) => !each.closing)
    if (this.all.length > 0 && open.length === 0) return undefined
    for (const each of open) each.judge(work)
    const stuck = open.length > 0 ? open.some((each) => each.stuck) : this.nobodyTakes(work)
    this.line.say(stuck, () => this.fields(work, open))
    return stuck
  }

  // Nobody works here, so this is seen from outside: the next job stays the same and nothing runs. Of workers that were
  // killed, jobs stay `active` for as long as there is nobody to notice.
  private nobodyTakes({ ready, held, active, consumers, head }: Work): boolean {
    const same = head !== undefined && head === this.head
    this.head = head
    // Nor do such jobs hold back anybody, for there is nobody.
    const free = held === undefined || (held === 'maxed' && consumers === 0)
    const untouched = ready > 0 && free && same && (active === 0 || consumers === 0)
    return this.outside.forMs(untouched) >= this.options.stuckAfterMs
  }

  private fields({ ready, consumers }: Work, open: readonly WorkerWatch[]): object {
    const deaf = open.find((each) => each.stuck)?.snapshot()
    return {
      ready,
      ...(consumers !== undefined && { consumers }),
      ...(deaf && { running: deaf.running, concurrency: deaf.concurrency, idle_ms: deaf.idleMs }),
    }
  }

  snapshots(): WorkerSnapshot[] {
    return this.all.map((each) => each.snapshot())
  }

  forget(): void {
    this.outside.forget()
    for (const each of this.all) each.forget()
  }

  close(): void {
    for (const each of this.all) each.close()
  }
}

class WorkerWatch {
  closing = false
  stuck = false
  private startedAt = performance.now()
  private hasStarted = false
  private readonly free = new Steady()

  constructor(
    private readonly worker: BullmqWorker,
    private readonly options: WorkersOptions,
  ) {
    worker.on('active', this.started)
    worker.on('closing', this.closes)
  }

  private readonly started = (): void => {
    this.startedAt = performance.now()
    this.hasStarted = true
  }

  private readonly closes = (): void => {
    this.closing = true
    this.close()
  }

  get rateLimit(): number | undefined {
    return (this.worker.opts as { limiter?: { max?: number } }).limiter?.max
  }

  judge({ ready, held }: Work): void {
    const free = ready > 0 && held === undefined && this.listens() && this.running() < this.worker.concurrency
    this.free.forMs(free)
    this.stuck = this.idleMs() >= this.options.stuckAfterMs
  }

  // One that was made with `autorun: false` and not yet started does not listen, and nobody expects it to. A worker whose
  // loop has died (`isRunning()` false) or hangs (true) is another matter.
  private listens(): boolean {
    const { autorun } = this.worker.opts as { autorun?: boolean }
    return !this.worker.isPaused() && (autorun !== false || this.hasStarted || this.worker.isRunning())
  }

  /** BullMQ's own count: events alone do not tell of each ending (control flow, lost locks). */
  private running(): number {
    const { lockManager } = this.worker as { lockManager?: { getActiveJobCount?: () => number } }
    const count = lockManager?.getActiveJobCount?.()
    if (count !== undefined) return count
    return [...this.options.running].filter(({ queue }) => queue === this.options.queue).length
  }

  /** Since it became free, or since it last took something. */
  private idleMs(): number {
    return Math.max(0, Math.min(this.free.ms(), performance.now() - this.startedAt))
  }

  snapshot(): WorkerSnapshot {
    const { queue } = this.options
    const { stuck, closing } = this
    const { concurrency } = this.worker
    const idleMs = Math.round(this.idleMs())
    return { queue, running: this.running(), concurrency, paused: this.worker.isPaused(), closing, stuck, idleMs }
  }

  forget(): void {
    this.free.forget()
    this.stuck = false
  }

  close(): void {
    this.worker.off('active', this.started)
    this.worker.off('closing', this.closes)
  }
}
