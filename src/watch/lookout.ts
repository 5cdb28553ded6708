// Looks at one source at a time, once at a time, and says when what it saw last is too old to be shown.
import type { TaskEvent } from '../kernel/event.ts'
import { fault } from '../kernel/faults.ts'
import { LINE } from '../kernel/names.ts'
import { Board, type Gauges } from './gauges.ts'
import type { Source } from './source.ts'

export type Tell = (event: Extract<TaskEvent, { kind: 'line' | 'schedule' }>) => void

// A client that waits for its broker queues our questions: a new one only when the old one has to be given up.
const PATIENCE_MS = 60_000

export class Lookout<State = unknown> {
  /** What was seen last; undefined before the first look and once it is stale. */
  state: State | undefined
  /** When, in ms since the epoch. */
  sampledAt: number | undefined
  error: unknown
  stale = false
  /** Since when it is stale, or fresh again, in ms since the epoch. */
  since = Date.now()
  private told = false
  private freshAt = performance.now()
  private closed = false
  private turn = 0
  private pending: { readonly begun: number; readonly done: Promise<void> } | undefined
  private readonly board: Board

  constructor(
    readonly source: Source<State>,
    private readonly gauges: Gauges | undefined,
    private readonly tell: Tell,
    private readonly staleAfterMs: number,
  ) {
    this.board = new Board(gauges)
  }

  get ended(): boolean {
    return this.closed || this.source.ended?.() === true
  }

  /** Resolves when the source has answered or failed; never rejects, but may take as long as the source does. */
  look(): Promise<void> {
    this.age()
    if (this.ended) return Promise.resolve()
    const begun = performance.now()
    if (this.pending !== undefined && begun - this.pending.begun < Math.max(PATIENCE_MS, this.staleAfterMs)) {
      return this.pending.done
    }
    this.turn++
    const done = this.ask(this.turn)
    this.pending = { begun, done }
    return done
  }

  private async ask(turn: number): Promise<void> {
    try {
      const state = await this.source.look()
      if (this.turn === turn && !this.ended) this.saw(state)
    } catch (error) {
      if (this.turn === turn && !this.ended) this.failed(error)
    } finally {
      if (this.turn === turn) this.pending = undefined
    }
  }

  private saw(state: State): void {
    this.state = state
    this.error = undefined
    this.sampledAt = Date.now()
    this.freshAt = performance.now()
    if (this.stale) this.since = this.sampledAt
    this.stale = false
    this.board.show(this.source.readings(state))
    this.lastSample()?.set(this.sampledAt / 1000)
    if (this.told) this.say('info', LINE.watchFresh)
    this.told = false
  }

  private failed(error: unknown): void {
    this.error = error
    fault('watch', this.source.system, error)
    // Never seen at all: more likely a wrong address than a broker that restarts, so it is said at once.
    if (this.sampledAt === undefined) this.sayStale()
  }

  /** Takes away what is too old. */
  private age(): void {
    if (this.ended) return this.clear()
    if (this.stale || performance.now() - this.freshAt <= this.staleAfterMs) return
    this.stale = true
    this.since = Date.now()
    this.state = undefined
    this.board.clear()
    this.source.forget?.()
    this.sayStale()
  }

  private sayStale(): void {
    if (this.told) return
    this.told = true
    this.say('warn', LINE.watchStale)
  }

  private say(level: 'info' | 'warn', message: string): void {
    const { system, queue, broker, part } = this.source
    const fields = {
      system,
      ...(part !== undefined && { part }),
      ...(queue !== undefined && { queue }),
      ...(broker !== undefined && { broker }),
      ...(this.sampledAt !== undefined && { last_sample: new Date(this.sampledAt).toISOString() }),
    }
    this.tell({ kind: 'line', level, message, fields, ...(this.error !== undefined && { error: this.error }) })
  }

  private lastSample() {
    const { queue, part } = this.source
    return queue === undefined || part !== undefined ? undefined : this.gauges?.lastSample.cell(queue)
  }

  private clear(): void {
    this.state = undefined
    this.board.clear()
    this.lastSample()?.unset()
  }

  close(): void {
    this.closed = true
    this.turn++
    this.clear()
  }
}
