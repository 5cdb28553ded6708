// What a server shows of the near past: the last endings, pipeline runs, spans and log lines. Bounded, and empty until used.
import type { Logger } from 'pino'
import { around } from '../kernel/around.ts'
import type { TaskEvent } from '../kernel/event.ts'
import { guard } from '../kernel/faults.ts'
import type { Observer } from '../kernel/observe.ts'
import { type Ending, errorType } from '../kernel/outcome.ts'
import { shared } from '../kernel/shared.ts'
import type { Middleware, Task } from '../kernel/task.ts'
import { isTappable, tap } from './recent/lines.ts'
import { Ring } from './recent/ring.ts'
import { type RunView, traceIdOf, viewRun } from './recent/runs.ts'
import { type EndedSpan, endedSpan, weigh } from './recent/spans.ts'

export type { EndedSpan, RunView }

/** How a task ended, without anything of its message. */
export interface EndedTask {
  readonly task: string
  readonly queue: string
  readonly id: string | undefined
  readonly attempt: number
  readonly outcome: string
  readonly duration_ms: number | undefined
  readonly ended_at: string
  readonly error_type: string | undefined
  readonly trace_id: string | undefined
}

const MAX_OUTCOMES = 100
const MAX_RUNS = 50
const MAX_RUN_STEPS = 20_000
const MAX_SPANS = 2_000
const MAX_LINES = 1_000
const MAX_BYTES = 8 * 1_024 * 1_024

/** Nothing is kept before `open()`, and nothing after the last of those who opened it has closed it. */
export class Recent {
  /** Goes first: what it sees at the end has ended. */
  readonly middleware: Middleware
  private readonly outcomes = new Ring<EndedTask>(MAX_OUTCOMES)
  private readonly runs = new Ring<RunView>(MAX_RUNS, MAX_RUN_STEPS)
  private readonly ended = new Ring<EndedSpan>(MAX_SPANS, MAX_BYTES)
  private readonly written = new Ring<string>(MAX_LINES, MAX_BYTES)
  private readonly live = new Set<Task>()
  private readonly seen = new WeakSet<object>()
  private open_ = 0
  private untap: () => void = () => {}

  // Without start and end until it is opened: so that nothing is asked of each task by what keeps nothing.
  private readonly observer: {
    part: string
    start?: Observer['start']
    end?: Observer['end']
    notice: Observer['notice']
  }

  /** @param logger whose lines are kept; undefined where nothing is logged */
  constructor(private readonly logger: Logger | undefined) {
    this.observer = {
      part: 'recent',
      start: undefined,
      end: undefined,
      notice: (event) => {
        if (this.open_ > 0) this.noticed(event)
      },
    }
    this.middleware = around(this.observer)
  }

  /** Starts to keep; gives the function that lets go. */
  open(): () => void {
    if (this.open_++ === 0) this.begin()
    shared.ended.add(this.keepSpan)
    let isOpen = true
    return () => {
      if (!isOpen) return
      isOpen = false
      if (--this.open_ > 0) return
      this.untap()
      this.observer.start = undefined
      this.observer.end = undefined
      shared.ended.delete(this.keepSpan)
      for (const ring of [this.outcomes, this.runs, this.ended, this.written]) ring.clear()
      this.live.clear()
    }
  }

  private begin(): void {
    if (this.logger !== undefined) {
      this.untap = tap(this.logger, (line) => this.written.push(line, line.length * 2))
    }
    this.observer.start = (task) => {
      if (task.kind === 'pipeline' || task.kind === 'step') this.live.add(task)
      return undefined
    }
    this.observer.end = (task, ending) => this.keep(task, ending)
  }

  /** Latest first. */
  lastOutcomes(): EndedTask[] {
    return this.outcomes.values().reverse()
  }

  /** Those that run, then those that ended, latest first. */
  pipelineRuns(): RunView[] {
    const running = [...this.live].filter(({ kind }) => kind === 'pipeline').map(viewRun)
    return [...running, ...this.runs.values().reverse()]
  }

  /** Pipelines and steps that run now. */
  running(): ReadonlySet<Task> {
    return this.live
  }

  /** Oldest first. */
  spans(): EndedSpan[] {
    return this.ended.values()
  }

  /** As written, oldest first; undefined where no line can be seen. */
  lines(): string[] | undefined {
    return this.logger === undefined || !isTappable(this.logger) ? undefined : this.written.values()
  }

  private keep(task: Task, ending: Ending): void {
    if (task.kind === 'task') this.outcomes.push(viewEnding(task, ending.outcome, ending))
    if (task.kind === 'pipeline') {
      const run = guard('recent', 'run', () => viewRun(task))
      if (run !== undefined) this.runs.push(run, run.steps.length)
    }
    this.live.delete(task)
    this.keepSpan(task.span)
  }

  // An SDK of ours tells of every span, those of tasks too; any other tells of none.
  private readonly keepSpan = (ended: object | undefined): void => {
    const span = endedSpan(ended)
    if (span === undefined || this.seen.has(span)) return
    this.seen.add(span)
    this.ended.push(span, weigh(span))
  }

  private noticed(event: TaskEvent): void {
    if (event.kind === 'lost') this.outcomes.push(viewEnding(event.task, 'lost'))
    else if (event.kind === 'failed' || event.kind === 'gave_up') {
      this.outcomes.push(viewEnding(event.task, 'failure', { threw: true, error: event.error }))
    }
  }
}

function viewEnding(
  task: Task,
  outcome: string,
  ending?: Pick<Ending, 'threw' | 'error'> & Partial<Ending>,
): EndedTask {
  return {
    ...{ task: task.name, queue: task.queue, id: task.id, attempt: task.attempt, outcome },
    duration_ms: ending?.durationMs === undefined ? undefined : Math.round(ending.durationMs),
    ended_at: new Date().toISOString(),
    error_type: ending?.threw ? errorType(ending.error) : undefined,
    trace_id: traceIdOf(task),
  }
}
