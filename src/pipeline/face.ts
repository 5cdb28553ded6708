// What a user of a pipeline sees, and what its types know: ids so far, their outputs, and which may be missing.
import type { InferInput, InferOutput, StandardSchema } from './input.ts'
import type { FinalOptions, PipelineOptions, RunOptions, SkipReason, StepOptions } from './options.ts'
import type { PipelineReport } from './report.ts'
import type { NewId } from './step-id.ts'
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

  /**
   * Adds a step that runs at the end, whatever happened, unless the schema has refused the input: then nothing runs. Outputs of
   * steps that did not run are `undefined`.
   */
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
