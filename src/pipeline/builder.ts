// How a pipeline is written: each step adds its id and its output's type to what later steps may name.
import { compose } from '../kernel/compose.ts'
import { show, TaskspanError } from '../kernel/errors.ts'
import type { Middleware } from '../kernel/task.ts'
import { type Graph, type ReservedId, type Step, StepList } from './graph.ts'
import type { InferInput, InferOutput, StandardSchema } from './input.ts'
import {
  checkPipelineOptions,
  checkRunOptions,
  checkStepOptions,
  type FinalOptions,
  type PipelineOptions,
  type RunOptions,
  type SkipReason,
  type StepOptions,
} from './options.ts'
import { definitionPicture, runPicture } from './picture.ts'
import type { PipelineReport } from './report.ts'
import { type Definition, Run } from './run.ts'
import type { StepVoice } from './step-task.ts'

/** What every step's function gets, beside the outputs that it named. */
export interface StepContext<Input> extends StepVoice {
  readonly input: Input
  /** Aborts when the run stops, or when this attempt has timed out. */
  readonly signal: AbortSignal
  /** 1-based. */
  readonly attempt: number
}

/** What a final step gets beside: how the run ended. */
export interface FinalContext<Input> extends StepContext<Input> {
  readonly outcome: 'success' | 'failure' | 'cancelled'
  /** What the run rejects with; undefined on success. */
  readonly error: unknown
}

/** A step given as data, its id known only at run time. */
export interface StepData<Input> {
  readonly id: string
  readonly after?: readonly string[] | undefined
  readonly run: (context: StepContext<Input> & Readonly<Record<string, unknown>>) => unknown
  readonly options?: StepOptions<StepContext<Input> & Readonly<Record<string, unknown>>> | undefined
}

/** A run: the promise of its outputs, and what can be asked of it at any time. */
export interface PipelineRun<Result> extends Promise<Result> {
  /** Each step's state, duration, wait and slack, and the critical path. */
  report(): PipelineReport
  /** The graph with states, durations and the critical path, for a Markdown file or https://mermaid.live */
  toMermaid(): string
  /** The same for Graphviz. */
  toDot(): string
}

/**
 * A pipeline's definition. A value: each call gives a new one, and two may be continued from one.
 *
 * `Used` are the steps that another step names (their outputs are not returned), `Maybe` those that a skip may leave
 * without an output, `Finals` the ids of final steps.
 */
export interface Pipeline<
  In,
  Input,
  Outputs extends object,
  Used extends string = never,
  Maybe extends string = never,
  Finals extends string = never,
> {
  readonly name: string

  /** Checks each run's input with a Standard Schema (zod, valibot, …), and gives steps what the schema makes of it. */
  input<S extends StandardSchema>(
    schema: [keyof Outputs] extends [never] ? S : 'input() stands before the first step',
  ): Pipeline<InferInput<S>, InferOutput<S>, Outputs, Used, Maybe, Finals>

  options(options: PipelineOptions): Pipeline<In, Input, Outputs, Used, Maybe, Finals>

  /** Adds a step that needs nothing. */
  step<
    const Id extends string,
    Output,
    const Optional extends boolean = false,
    const Reason extends SkipReason = false,
  >(
    id: NewId<Id, (keyof Outputs & string) | Finals>,
    run: (context: StepContext<Input>) => Output,
    options?: StepOptions<StepContext<Input>, Optional, Reason>,
  ): Pipeline<
    In,
    Input,
    Outputs & Added<Id, Output, Optional>,
    Used,
    Maybe | Skippable<Id, Optional, Reason, never>,
    Finals
  >

  /** Adds a step that runs when all steps that it is `after` have ended, and gets their outputs. */
  step<
    const Id extends string,
    const After extends readonly (keyof Outputs & string)[],
    Output,
    const Optional extends boolean = false,
    const Reason extends SkipReason = false,
  >(
    id: NewId<Id, (keyof Outputs & string) | Finals>,
    after: After,
    run: (context: StepContext<Input> & Named<Outputs, After>) => Output,
    options?: StepOptions<StepContext<Input> & Named<Outputs, After>, Optional, Reason>,
  ): Pipeline<
    In,
    Input,
    Outputs & Added<Id, Output, Optional>,
    Used | After[number],
    Maybe | Skippable<Id, Optional, Reason, After[number] & Maybe>,
    Finals
  >

  /** Adds steps from data, in any order. Unknown ids and cycles are named in the error. */
  steps(
    steps: Iterable<StepData<Input>>,
  ): Pipeline<In, Input, Outputs & Readonly<Record<string, unknown>>, never, never, Finals>

  /** Adds a step that runs at the end, whatever happened. Outputs of steps that did not run are `undefined`. */
  finally<const Id extends string>(
    id: NewId<Id, (keyof Outputs & string) | Finals>,
    run: (context: FinalContext<Input>) => unknown,
    options?: FinalOptions,
  ): Pipeline<In, Input, Outputs, Used, Maybe, Finals | Id>
  finally<const Id extends string, const After extends readonly (keyof Outputs & string)[]>(
    id: NewId<Id, (keyof Outputs & string) | Finals>,
    after: After,
    run: (context: FinalContext<Input> & Partial<Named<Outputs, After>>) => unknown,
    options?: FinalOptions,
  ): Pipeline<In, Input, Outputs, Used, Maybe, Finals | Id>

  /**
   * Runs it. Resolves with the outputs of the steps that no other step names, and of those in `keep`.
   *
   * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`
   * @throws {PipelineError} rejects with it when a step failed or the signal was aborted; a `reject()` or a broker's
   * control flow (BullMQ's `DelayedError`, …) thrown in a step is passed on as it is
   */
  run<const Keep extends keyof Outputs & string = never>(
    input: In,
    options: RunOptions<keyof Outputs & string, Keep> & { readonly keep: true },
  ): PipelineRun<Returned<Outputs, keyof Outputs & string, Maybe>>
  run<const Keep extends keyof Outputs & string = never>(
    input: In,
    options?: RunOptions<keyof Outputs & string, Keep>,
  ): PipelineRun<Returned<Outputs, Exclude<keyof Outputs & string, Used> | Keep, Maybe>>

  /** The graph as Mermaid text. */
  toMermaid(): string
  /** The graph as Graphviz text. */
  toDot(): string
}

/** The outputs that a step named. */
export type Named<Outputs, After extends readonly string[]> = {
  readonly [K in After[number] & keyof Outputs]: Outputs[K]
}

type Added<Id extends string, Output, Optional extends boolean> = {
  readonly [K in Id]: Optional extends false ? Awaited<Output> : Awaited<Output> | undefined
}

// A step that may be skipped takes its dependants with it, unless it is optional.
type Skippable<Id extends string, Optional extends boolean, Reason, Skipped> = Optional extends true
  ? never
  : [Reason] extends [false | undefined]
    ? [Skipped] extends [never]
      ? never
      : Id
    : Id

type Returned<Outputs, Ids extends string, Maybe extends string> = {
  readonly [K in Ids & keyof Outputs]: K extends Maybe ? Outputs[K] | undefined : Outputs[K]
}

/** An id, or what is wrong with it: the compiler shows the sentence. */
export type NewId<Id extends string, Taken extends string> = string extends Id
  ? 'an id that is known only at run time goes through steps([…])'
  : Id extends (string extends Taken ? never : Taken)
    ? `'${Id}' is taken by an earlier step`
    : Id extends ReservedId
      ? `'${Id}' is a reserved id`
      : IsId<Id> extends true
        ? Id
        : 'an id matches ^[a-z][a-z0-9_]{0,63}$'

type Letter =
  // biome-ignore format: one line reads better than 26
  | 'a'
  | 'b'
  | 'c'
  | 'd'
  | 'e'
  | 'f'
  | 'g'
  | 'h'
  | 'i'
  | 'j'
  | 'k'
  | 'l'
  | 'm'
  | 'n'
  | 'o'
  | 'p'
  | 'q'
  | 'r'
  | 's'
  | 't'
  | 'u'
  | 'v'
  | 'w'
  | 'x'
  | 'y'
  | 'z'
type Digit = '0' | '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8' | '9'
type IsId<Id extends string> = Id extends `${Letter}${infer Rest}` ? IsRest<Rest, [unknown]> : false
type IsRest<Rest extends string, Seen extends unknown[]> = Rest extends ''
  ? true
  : Seen['length'] extends 64
    ? false
    : Rest extends `${Letter | Digit | '_'}${infer More}`
      ? IsRest<More, [...Seen, unknown]>
      : false

/**
 * A task body that is a graph of steps. Each step starts the moment its own needs are met, gets exactly the outputs that
 * it names, and has its own span, metrics and log lines.
 *
 * @param name `^[a-z][a-z0-9_]{0,63}$`; its span is `<name>.pipeline`
 * @param middleware usually one `telemetry()`
 * @throws {TaskspanError} `INVALID_PIPELINE`
 * @example
 * const analysis = pipeline<{ project: string }>('analysis', telemetry())
 *   .step('download', ({ input, signal }) => download(input.project, signal))
 *   .step('transcribe', ['download'], ({ download }) => transcribe(download), { timeoutMs: 60_000, retries: 2 })
 *   .step('detect_cuts', ['download'], ({ download }) => detect(download))
 *   .step('apply_cuts', ['transcribe', 'detect_cuts'], ({ transcribe, detect_cuts }) => cut(transcribe, detect_cuts))
 * const { apply_cuts } = await analysis.run({ project })
 */
export function pipeline<Input = void>(
  name: string,
  ...middleware: Middleware[]
): Pipeline<Input, Input, Record<never, never>> {
  if (typeof name !== 'string' || !/^[a-z][a-z0-9_]{0,63}$/.test(name)) {
    throw new TaskspanError('INVALID_PIPELINE', `pipeline: ${show(name)} is not a name.`)
  }
  const onion = compose(...middleware)
  const definition = { name, onion, schema: undefined, options: {} }
  return new Builder(definition, new StepList(name), 0) as unknown as Pipeline<Input, Input, Record<never, never>>
}

/** What stands behind a step's id. */
interface Rest {
  readonly after: unknown
  readonly run: unknown
  readonly options?: unknown
}

function named(rest: readonly unknown[]): Rest {
  const [after, run, options] = Array.isArray(rest[0]) ? rest : [[], ...rest]
  return { after, run, options }
}

class Builder {
  private compiled: Graph | undefined

  constructor(
    private readonly definition: Definition,
    private readonly list: StepList,
    private readonly length: number,
  ) {}

  get name(): string {
    return this.definition.name
  }

  input(schema: StandardSchema): Builder {
    if (typeof schema?.['~standard']?.validate !== 'function') {
      throw new TaskspanError(
        'INVALID_OPTION',
        `pipeline '${this.name}': input() takes a Standard Schema, got ${show(schema)}.`,
      )
    }
    return new Builder({ ...this.definition, schema }, this.list, this.length)
  }

  options(options: PipelineOptions): Builder {
    checkPipelineOptions(`pipeline '${this.name}'`, options)
    return new Builder(
      { ...this.definition, options: { ...this.definition.options, ...options } },
      this.list,
      this.length,
    )
  }

  step(id: string, ...rest: unknown[]): Builder {
    return this.add([this.stepOf(id, named(rest), false)])
  }

  finally(id: string, ...rest: unknown[]): Builder {
    return this.add([this.stepOf(id, named(rest), true)])
  }

  steps(steps: Iterable<StepData<unknown>>): Builder {
    return this.add(
      [...steps].map(({ id, after = [], run, options }) => this.stepOf(id, { after, run, options }, false)),
    )
  }

  run(input: unknown, options: RunOptions = {}): PipelineRun<unknown> {
    const graph = this.graph()
    const isStep = (id: string): boolean => graph.steps.some((step) => step.id === id && !step.final)
    checkRunOptions(`pipeline '${this.name}': run()`, options, isStep)
    const run = new Run(this.definition, graph, input, options)
    return Object.assign(run.execute(), {
      report: () => run.report(),
      toMermaid: () => runPicture(run.report()).mermaid(),
      toDot: () => runPicture(run.report()).dot(),
    })
  }

  toMermaid(): string {
    return definitionPicture(this.name, this.graph()).mermaid()
  }

  toDot(): string {
    return definitionPicture(this.name, this.graph()).dot()
  }

  private graph(): Graph {
    this.compiled ??= this.list.upTo(this.length).compile()
    return this.compiled
  }

  private add(steps: readonly Step[]): Builder {
    const list = this.list.upTo(this.length)
    list.add(steps)
    return new Builder(this.definition, list, list.length)
  }

  private stepOf(id: string, { after, run, options = {} }: Rest, final: boolean): Step {
    checkStepOptions(`pipeline '${this.name}': step ${show(id)}`, options as object, final)
    // A copy: the caller's list may change, and the graph may not.
    const names = (Array.isArray(after) ? [...after] : after) as string[]
    return { id, after: names, run: run as Step['run'], options: options as StepOptions, final }
  }
}
