// Where finished steps are kept between the attempts of a task, and what of it still fits the graph.
import { createHash } from 'node:crypto'
import { fault } from '../kernel/faults.ts'
import type { Task } from '../kernel/task.ts'
import { endsWithin } from '../kernel/within.ts'
import type { Graph } from './graph.ts'
import type { StepOptions } from './options.ts'
import { type KeptStep, readRecord, writeRecord } from './record.ts'
import type { StepState } from './report.ts'
import type { Trouble } from './trouble.ts'

/**
 * Keeps finished steps of a run: two functions over strings. Both may fail; the run then goes on and says that it will
 * not resume.
 *
 * @example
 * const kept = new Map<string, Record<string, string>>()
 * const inMemory: Checkpoint = {
 *   load: async (run) => kept.get(run),
 *   save: async (run, step, record) => { kept.set(run, { ...kept.get(run), [step]: record }) },
 * }
 */
export interface Checkpoint {
  /** Everything saved under this run so far, by step id. */
  load(run: string): Promise<Readonly<Record<string, string>> | null | undefined>
  /** Keeps one step's record; replaces an earlier one. */
  save(run: string, step: string, record: string): Promise<unknown>
}

const PATIENCE = 5_000

/** Where a run's steps are kept. A nested pipeline's must not be taken for those of another step's of the same name. */
export function checkpointKey(pipeline: string, id: string | undefined, outer: Task | undefined): string {
  let inside = ''
  for (let at = outer; at !== undefined; at = at.parent) {
    if (at.kind === 'step') inside = `${at.queue}.${at.name}>${inside}`
  }
  return `${inside}${pipeline}${id === undefined ? '' : `:${id}`}`
}

/** One run's dealings with its checkpoint. */
export class Resume {
  /** Finished steps of an earlier run, by index. */
  readonly kept = new Map<number, KeptStep>()
  /** The id of the run that is resumed. */
  runId: string | undefined
  private readonly pending = new Set<Promise<unknown>>()
  private readonly prints: readonly string[]
  private readonly input: string

  constructor(
    private readonly store: Checkpoint,
    private readonly key: string,
    private readonly graph: Graph,
    input: unknown,
    /** Told at once, or kept until the run can say it. */
    private readonly say: (trouble: Trouble) => void,
  ) {
    this.prints = fingerprints(graph)
    this.input = digest([serialised(input)])
  }

  async load(): Promise<void> {
    try {
      const loading = Promise.resolve(this.store.load(this.key))
      if (!(await endsWithin(PATIENCE, loading))) throw new Error(`load() did not settle within ${PATIENCE} ms`)
      const found = await loading
      if (typeof found === 'object' && found !== null) this.accept(found)
    } catch (error) {
      this.kept.clear() // of what a store gave only in part, nothing is certain
      this.failed([], error)
    }
  }

  // A step is restored only with all its needs: an output made from inputs that are made anew would not fit them.
  private accept(found: Readonly<Record<string, string>>): void {
    const stale: string[] = []
    for (const at of this.graph.order) {
      const { id, final, options } = this.graph.steps[at] as Graph['steps'][number]
      if (final || !Object.hasOwn(found, id)) continue
      const record = readRecord(found[id])
      const fits = record?.print === this.prints[at] && record?.input === this.input && mayEnd(options, record.status)
      if (record !== undefined && fits && this.graph.needs[at]?.every((need) => this.kept.has(need))) {
        this.kept.set(at, record)
        this.runId ??= record.run
      } else {
        stale.push(id)
      }
    }
    if (stale.length > 0) this.say({ name: 'pipeline.checkpoint_stale', steps: stale })
  }

  /** Keeps a finished step; the run does not wait for it. `json` is the output, undefined for none. */
  save(at: number, run: string, state: StepState, json: string | undefined): void {
    const record = writeRecord(run, this.prints[at] as string, this.input, state, json)
    const saving: Promise<unknown> = (async () => this.store.save(this.key, state.id, record))()
      .catch((error: unknown) => this.failed([state.id], error))
      .finally(() => this.pending.delete(saving))
    this.pending.add(saving)
  }

  /** Waits for what is being saved, within reason. */
  async settle(): Promise<void> {
    if (this.pending.size === 0 || (await endsWithin(PATIENCE, Promise.all(this.pending)))) return
    this.failed([], new Error(`save() did not settle within ${PATIENCE} ms`))
  }

  private failed(steps: readonly string[], error: unknown): void {
    fault('pipeline', 'checkpoint', error)
    this.say({ name: 'pipeline.checkpoint_failed', steps, error })
  }
}

// A failure is settled only as long as the step is optional, and a skip as long as it may be skipped.
function mayEnd({ optional, skip }: StepOptions, status: KeptStep['status']): boolean {
  return status === 'success' || (status === 'failure' ? optional === true : skip !== undefined)
}

const known = new WeakMap<Graph, readonly string[]>()

// A step fits as long as it, what it needs, and what those need, are what they were.
function fingerprints(graph: Graph): readonly string[] {
  let prints = known.get(graph) as string[] | undefined
  if (prints !== undefined) return prints
  prints = []
  for (const at of graph.order) {
    const { id, options } = graph.steps[at] as Graph['steps'][number]
    const needs = (graph.needs[at] as readonly number[]).map((need) => prints?.[need])
    prints[at] = digest([id, JSON.stringify(options.version ?? null), ...needs])
  }
  known.set(graph, prints)
  return prints
}

function digest(parts: readonly (string | undefined)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22)
}

// What cannot be serialised (a client, a BigInt) tells no two inputs apart; then only the graph decides.
function serialised(input: unknown): string | undefined {
  try {
    return JSON.stringify(input)
  } catch {
    return undefined
  }
}
