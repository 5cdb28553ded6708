// How a pipeline is written: what stands behind its types.
import { compose } from '../kernel/compose.ts'
import { show, TaskspanError } from '../kernel/errors.ts'
import type { Middleware } from '../kernel/task.ts'
import type { Definition } from './definition.ts'
import type { Pipeline, PipelineRun, StepData } from './face.ts'
import { type Graph, type Step, StepList } from './graph.ts'
import type { StandardSchema } from './input.ts'
import {
  checkPipelineOptions,
  checkRunOptions,
  checkStepData,
  checkStepOptions,
  type PipelineOptions,
  type RunOptions,
  type StepOptions,
} from './options.ts'
import { definitionPicture, viewsOf } from './picture.ts'
import { Run } from './run.ts'

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

// Where a function comes second, whatever stands before it is meant for `after`, and is refused as that if it is no list.
function named(rest: readonly unknown[]): Rest {
  const hasNeeds = Array.isArray(rest[0]) || typeof rest[1] === 'function'
  const [after, run, options] = hasNeeds ? rest : [[], ...rest]
  return { after, run, options }
}

// By name, not spread: what options inherit, or have as a getter of their class, counts as well.
function copyOf({ timeoutMs, retries, backoff, skip, optional, version }: StepOptions): StepOptions {
  const { initialMs, maxMs, factor, jitter } = backoff ?? {}
  return { timeoutMs, retries, backoff: backoff && { initialMs, maxMs, factor, jitter }, skip, optional, version }
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
    const where = `pipeline '${this.name}': steps()`
    const list = checkStepData(where, steps)
    return this.add(list.map(({ id, after = [], run, options }) => this.stepOf(id, { after, run, options }, false)))
  }

  run(input: unknown, options: RunOptions = {}): PipelineRun<unknown> {
    const graph = this.graph()
    const ids = (): ReadonlySet<string> => new Set(graph.steps.flatMap(({ id, final }) => (final ? [] : id)))
    checkRunOptions(`pipeline '${this.name}': run()`, options, ids)
    const run = new Run(this.definition, graph, input, options)
    return Object.assign(run.execute(), viewsOf(run))
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
    // Copies: the caller's list and options may change, and the graph may not.
    const names = (Array.isArray(after) ? [...after] : after) as string[]
    return { id, after: names, run: run as Step['run'], options: copyOf(options as StepOptions), final }
  }
}
