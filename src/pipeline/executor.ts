// Starts each step the moment its own needs are met and a place is free; ends when nothing runs any more.
import { onlyObservers } from '../kernel/compose.ts'
import type { Observer } from '../kernel/observe.ts'
import { runInScope } from '../kernel/scope.ts'
import { type Attempt, body, type Core, type Ends, isRepeated, openAttempt, perform, watched } from './attempt.ts'
import { hasReturned, hasThrown } from './ended.ts'
import type { Step } from './graph.ts'
import { ReadyQueue } from './ready.ts'
import type { StepState } from './report.ts'
import { retrying } from './retries.ts'
import type { Run } from './run.ts'
import { skipped } from './step-task.ts'

// Counters, not levels: each step counts its open needs, and each end counts down its dependants. Each step is entered from
// the pipeline's own context, wherever the one that made it ready has ended, so it inherits nothing from that; and as every
// end comes in a callback of its own, no chain, however long, nests.
export class Executor implements Ends {
  /** Where a checkpoint or the user's progress is told of each end, that is done in the pipeline's own context. */
  private readonly observers: readonly Observer[] | undefined
  private readonly open: Int32Array
  private readonly unread: Int32Array
  private readonly ready = new ReadyQueue()
  /** Why a step cannot run, once it is ready. */
  private readonly blocked = new Map<number, string>()
  /** Steps that wait for a place for their next attempt. */
  private readonly returning = new Map<number, (go: boolean) => void>()
  private places: number
  /** Steps between their start and their end, waiting for a backoff included. */
  private active = 0
  private over: () => void = () => {}

  constructor(private readonly run: Run) {
    this.open = run.graph.open.slice()
    this.unread = run.outputs.readers()
    this.places = run.concurrency
    if (run.resume === undefined && run.progress === undefined) this.observers = onlyObservers(run.onion)
  }

  /** Resolves when every step has ended, or the run was stopped and those that ran have. Never rejects. */
  finished(): Promise<void> {
    return new Promise((resolve) => {
      this.over = resolve
      const now = performance.now()
      for (let at = 0; at < this.open.length; at++) {
        if (this.open[at] === 0 && !this.run.graph.steps[at]?.final) this.becomeReady(at, now)
      }
      this.fill()
    })
  }

  /** Starts nothing more and tells those that run. */
  stop(reason: unknown): void {
    if (this.run.isStopped) return
    this.run.isStopped = true
    this.ready.clear()
    const { controller, limits } = this.run
    controller.abort(reason)
    for (const limit of limits) limit.abort(controller.signal.reason)
    for (const go of this.returning.values()) go(false)
    this.returning.clear()
    this.fill()
  }

  private becomeReady(at: number, now: number): void {
    ;(this.run.states[at] as StepState).readyAt = now
    this.ready.push(at)
  }

  private fill(): void {
    while (this.places > 0) {
      const at = this.ready.pop()
      if (at === undefined) break
      this.places--
      // Most runs have none of these: a look into an empty map costs each step as well.
      const go = this.returning.size === 0 ? undefined : this.returning.get(at)
      if (go === undefined) {
        this.active++
        this.start(at)
      } else {
        this.returning.delete(at)
        go(true)
      }
    }
    if (this.active === 0) this.over()
  }

  private start(at: number): void {
    const { graph, controller } = this.run
    const { retries = 0 } = (graph.steps[at] as Step).options
    const stands = this.standIn(at)
    if (stands === undefined && retries > 0) return this.repeat(at)
    const attempt = openAttempt(this.run, at, 1, controller.signal, this)
    if (stands === undefined && this.observers !== undefined) return watched(attempt, this.observers)
    perform(attempt, stands ?? body).then(
      (output) => this.returned(attempt, output),
      (error: unknown) => this.threw(attempt, error),
    )
  }

  /** What takes the place of the step's function: a skip because of its needs, or what an earlier run has finished. */
  private standIn(at: number): Core | undefined {
    if (this.blocked.size === 0 && this.run.resume === undefined) return undefined
    const reason = this.blocked.get(at)
    if (reason !== undefined) return async ({ task }) => skipped(task, reason)
    const kept = this.run.resume?.kept.get(at)
    if (kept === undefined) return undefined
    return async ({ task }) => {
      if (kept.status === 'skipped') return skipped(task, kept.reason ?? '')
      task.ending = { outcome: 'restored', threw: false, error: undefined, durationMs: performance.now() - task.clock }
      return kept.output
    }
  }

  private repeat(at: number): void {
    const { run } = this
    const { signal } = run.controller
    let attempt: Attempt | undefined
    let failure: unknown
    let placed = true
    const once = async (n: number): Promise<unknown> => {
      if (n > 1) {
        placed = await this.place(at)
        if (!placed || run.isStopped) throw failure // the run may have stopped since it had its place
      }
      attempt = openAttempt(run, at, n, signal)
      const current = attempt
      try {
        return await perform(current, body)
      } catch (error) {
        failure = error
        if (isRepeated(run, current.task, error)) {
          ;(run.states[at] as StepState).status = 'waiting'
          placed = false
          this.places++
          this.fill()
        }
        throw error
      }
    }
    const again = (error: unknown): boolean => isRepeated(run, (attempt as Attempt).task, error)
    retrying((run.graph.steps[at] as Step).options, signal, once, again).then(
      (output) => this.returned(attempt as Attempt, output, placed),
      (error: unknown) => this.threw(attempt as Attempt, error, placed),
    )
  }

  private place(at: number): Promise<boolean> {
    if (this.run.isStopped) return Promise.resolve(false)
    return new Promise((resolve) => {
      this.returning.set(at, resolve)
      this.ready.push(at)
      this.fill()
    })
  }

  returned(attempt: Attempt, output: unknown, placed = true): void {
    const { at } = attempt
    this.settle(at, placed, hasReturned(attempt, output, this.blocked))
  }

  // A failure stops others, and what listens to the signal must not be taken for a part of the step that failed.
  threw(attempt: Attempt, error: unknown, placed = true): void {
    const { scope, active } = this.run.where
    const end = (): void => {
      const { stops, blocks } = hasThrown(attempt, error)
      if (stops) this.stop(error)
      this.settle(attempt.at, placed, blocks)
    }
    runInScope(scope, end, active)
  }

  private settle(at: number, placed: boolean, blocks: string | undefined): void {
    const { graph, states, outputs } = this.run
    const now = (states[at] as StepState).endedAt
    this.active--
    if (placed) this.places++
    if (!this.run.isStopped) {
      // By index: for-of over short arrays costs more than what is done for each.
      const dependants = graph.dependants[at] as readonly number[]
      for (let n = 0; n < dependants.length; n++) {
        const dependant = dependants[n] as number
        if (blocks !== undefined && !this.blocked.has(dependant)) this.blocked.set(dependant, blocks)
        const open = (this.open[dependant] as number) - 1
        this.open[dependant] = open
        if (open === 0) this.becomeReady(dependant, now)
      }
      const needs = graph.needs[at] as readonly number[]
      for (let n = 0; n < needs.length; n++) {
        const need = needs[n] as number
        const unread = (this.unread[need] as number) - 1
        this.unread[need] = unread
        if (unread === 0) outputs.release(need)
      }
    }
    this.run.progress?.advance()
    this.fill()
  }
}
