// What the steps of a run have given: kept for as long as a step reads it, and what of it is for the caller.
import type { Graph, Step } from './graph.ts'
import type { RunOptions } from './options.ts'

/** In the place of an output that is not there yet, or that nobody reads any more. */
const NONE = Symbol('none')

/** By the index of the step. */
export class Outputs {
  private readonly given: unknown[]
  private readonly names: ReadonlySet<string>

  constructor(
    private readonly graph: Graph,
    private readonly keep: RunOptions['keep'],
  ) {
    this.given = new Array<unknown>(graph.steps.length).fill(NONE)
    this.names = new Set(Array.isArray(keep) ? keep : [])
  }

  /** Undefined too where there is none: an optional step has failed. */
  of(at: number): unknown {
    const output = this.given[at]
    return output === NONE ? undefined : output
  }

  set(at: number, output: unknown): void {
    this.given[at] = output
  }

  release(at: number): void {
    this.given[at] = NONE
  }

  releaseAll(): void {
    this.given.length = 0
  }

  /** How many read each: the steps that named it, and the caller where it asked for it. */
  readers(): Int32Array {
    const readers = this.graph.readers.slice()
    if (this.keep === undefined) return readers
    return readers.map((steps, at) => (this.isKept(at) ? steps + 1 : steps))
  }

  /** Whether it is for the caller: it was asked for, or no other step is there to read it. */
  private isKept(at: number): boolean {
    const { keep, graph } = this
    return keep === true || graph.dependants[at]?.length === 0 || this.names.has((graph.steps[at] as Step).id)
  }

  /** What the run gives its caller, by step id. */
  result(): Record<string, unknown> {
    const { graph, keep } = this
    const kept =
      keep === undefined ? graph.sinks : graph.order.filter((at) => !graph.steps[at]?.final && this.isKept(at))
    return this.byId(kept)
  }

  /** What there is at this moment, by step id. */
  soFar(): Record<string, unknown> {
    return this.byId([...this.given.keys()].filter((at) => this.given[at] !== NONE))
  }

  private byId(steps: readonly number[]): Record<string, unknown> {
    const found: Record<string, unknown> = {}
    for (const at of steps) found[(this.graph.steps[at] as Step).id] = this.of(at)
    return found
  }
}
