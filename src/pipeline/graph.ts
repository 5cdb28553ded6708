// A pipeline's steps as data: checked when they are added, compiled once to what a run needs.
import { show, TaskspanError } from '../kernel/errors.ts'
import type { StepOptions } from './options.ts'

const MAX_NEED_IDS = 64
const STEP_ID = /^[a-z][a-z0-9_]{0,63}$/

/** Words that a step's context already has, and `then`, which would make the outputs look like a promise. */
const RESERVED: ReadonlySet<string> = new Set<ReservedId>([
  'input',
  'signal',
  'log',
  'progress',
  'attempt',
  'outcome',
  'error',
  'then',
])

export type ReservedId = 'input' | 'signal' | 'log' | 'progress' | 'attempt' | 'outcome' | 'error' | 'then'

/** One step, whatever its types: the builder has checked those. */
export interface Step {
  readonly id: string
  readonly after: readonly string[]
  readonly run: (context: never) => unknown
  readonly options: StepOptions
  /** Runs at the end, whatever happened. */
  readonly final: boolean
}

/** Steps by index, in definition order, with the edges in both directions. */
export interface Graph {
  readonly steps: readonly Step[]
  readonly needs: readonly (readonly number[])[]
  /** The steps that wait for a step; final steps wait for all, and stand in none. */
  readonly dependants: readonly (readonly number[])[]
  /** The ids in `needs`, the first 64: as they stand on a span. */
  readonly needIds: readonly (readonly string[])[]
  /** Steps that no other step reads, and steps that run at the end. */
  readonly sinks: readonly number[]
  readonly finals: readonly number[]
  /** How many needs each step has: a run counts down a copy. */
  readonly open: Int32Array
  /** How many steps read a step's output, final ones included. */
  readonly readers: Int32Array
  /** Each step after its needs; in definition order unless the steps came as data. */
  readonly order: readonly number[]
}

/**
 * Steps that only grow. Builders share one list and remember how much of it is theirs; a builder that is branched from
 * gets a copy. So each builder is a value of its own, and a chain of 10,000 costs 10,000 steps.
 */
export class StepList {
  private readonly steps: Step[] = []
  private readonly needs: number[][] = []
  private readonly index = new Map<string, number>()

  constructor(private readonly pipeline: string) {}

  get length(): number {
    return this.steps.length
  }

  /** This list when it ends at `length`, else a copy of its first `length` steps. */
  upTo(length: number): StepList {
    if (length === this.steps.length) return this
    const copy = new StepList(this.pipeline)
    copy.add(this.steps.slice(0, length))
    return copy
  }

  /** Adds steps that may name each other in any order. All of them, or none when one is wrong. */
  add(steps: readonly Step[]): void {
    const first = this.steps.length
    try {
      for (const step of steps) this.register(step)
      for (let at = first; at < this.steps.length; at++) this.needs.push(this.resolve(at))
      // Steps that name only earlier ones cannot wait for each other.
      const isForward = this.needs.slice(first).some((needs, n) => needs.some((need) => need >= first + n))
      if (isForward) this.refuseCycles(first)
    } catch (error) {
      for (const step of this.steps.splice(first)) this.index.delete(step.id)
      this.needs.length = first
      throw error
    }
  }

  private register(step: Step): void {
    const { id } = step
    if (typeof id !== 'string' || !STEP_ID.test(id)) throw this.wrong(`${show(id)} is not a step id.`)
    if (RESERVED.has(id)) throw this.wrong(`'${id}' is a reserved id.`)
    if (this.index.has(id)) throw this.wrong(`the step '${id}' stands twice.`)
    if (typeof step.run !== 'function') throw this.wrong(`the step '${id}' has no function, got ${show(step.run)}.`)
    this.index.set(id, this.steps.length)
    this.steps.push(step)
  }

  private resolve(at: number): number[] {
    const { id, after } = this.steps[at] as Step
    if (!Array.isArray(after)) throw this.wrong(`'${id}' is after ${show(after)}, which is not a list of ids.`)
    const found = new Set<number>()
    for (const name of after) {
      const need = this.index.get(name)
      if (need === undefined) throw this.wrong(`'${id}' is after ${show(name)}, and there is no such step.`)
      if (this.steps[need]?.final) throw this.wrong(`'${id}' is after '${name}', which runs at the end.`)
      if (found.has(need)) throw this.wrong(`'${id}' is after '${name}' twice.`)
      found.add(need)
    }
    return [...found]
  }

  // Depth first with a stack of our own: 10,000 steps in a chain must not overflow the engine's.
  private refuseCycles(first: number): void {
    const done = new Uint8Array(this.steps.length).fill(1, 0, first)
    const onPath = new Uint8Array(this.steps.length)
    for (let root = first; root < this.steps.length; root++) {
      const path: { at: number; next: number }[] = done[root] ? [] : [{ at: root, next: 0 }]
      onPath[root] = 1
      for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
        const need = this.needs[top.at]?.[top.next++]
        if (need === undefined) {
          done[top.at] = 1
          onPath[top.at] = 0
          path.pop()
        } else if (onPath[need]) {
          throw this.cycle(path.map(({ at }) => at).slice(path.findIndex(({ at }) => at === need)))
        } else if (!done[need]) {
          onPath[need] = 1
          path.push({ at: need, next: 0 })
        }
      }
    }
  }

  // The path was walked from step to need; it reads in the direction in which the steps would run.
  private cycle(path: number[]): TaskspanError {
    const ids = path.reverse().map((at) => this.steps[at]?.id)
    const shown = ids.length > 20 ? [...ids.slice(0, 10), `… (${ids.length - 20} more)`, ...ids.slice(-10)] : ids
    return this.wrong(`the steps wait for each other: ${[...shown, ids[0]].join(' > ')}.`)
  }

  private wrong(what: string): TaskspanError {
    return new TaskspanError('INVALID_PIPELINE', `pipeline '${this.pipeline}': ${what}`)
  }

  /** What a run needs. The list must end here: see `upTo`. */
  compile(): Graph {
    const steps = [...this.steps]
    const needs = [...this.needs]
    const dependants: number[][] = steps.map(() => [])
    const readers = new Int32Array(steps.length)
    for (let at = 0; at < steps.length; at++) {
      for (const need of needs[at] as number[]) {
        if (!steps[at]?.final) dependants[need]?.push(at)
        readers[need] = (readers[need] as number) + 1
      }
    }
    const indices = steps.map((_, at) => at)
    return {
      steps,
      needs,
      dependants,
      needIds: needs.map((list) => list.slice(0, MAX_NEED_IDS).map((need) => (steps[need] as Step).id)),
      open: Int32Array.from(needs.map((list) => list.length)),
      sinks: indices.filter((at) => !steps[at]?.final && dependants[at]?.length === 0),
      finals: indices.filter((at) => steps[at]?.final),
      readers,
      order: order(needs, dependants),
    }
  }
}

function order(needs: readonly (readonly number[])[], dependants: readonly (readonly number[])[]): number[] {
  const pending = needs.map((list) => list.length)
  const sorted: number[] = []
  for (let at = 0; at < needs.length; at++) if (pending[at] === 0) sorted.push(at)
  for (let next = 0; next < sorted.length; next++) {
    for (const dependant of dependants[sorted[next] as number] ?? []) {
      pending[dependant] = (pending[dependant] as number) - 1
      if (pending[dependant] === 0) sorted.push(dependant)
    }
  }
  // Final steps with needs stand in nobody's dependants; they come last.
  for (let at = 0; at < needs.length; at++) if ((pending[at] as number) > 0) sorted.push(at)
  return sorted
}
