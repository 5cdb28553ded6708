// Tells how many steps have ended, at most once a second, and once more at the end.
import { fault } from '../kernel/faults.ts'
import type { Task } from '../kernel/task.ts'
import { endsWithin } from '../kernel/within.ts'
import type { RunOptions } from './options.ts'

/** How far a run is. */
export interface Progress {
  readonly completed: number
  readonly total: number
  /** A whole number from 0 to 100. */
  readonly percent: number
}

const INTERVAL = 1_000
const PATIENCE = 5_000

export class ProgressReporter {
  private completed = 0
  private timer: NodeJS.Timeout | undefined
  private sending: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly total: number,
    private readonly send: (progress: Progress) => unknown,
  ) {}

  advance(): void {
    this.completed++
    this.timer ??= setTimeout(() => {
      this.timer = undefined
      this.tell()
    }, INTERVAL)
  }

  /** The last word: what is not yet told. A receiver that does not answer is not waited for. */
  async end(): Promise<void> {
    if (this.timer !== undefined) {
      clearTimeout(this.timer)
      this.tell()
    }
    await endsWithin(PATIENCE, this.sending)
  }

  private tell(): void {
    const { completed, total, send } = this
    const progress = { completed, total, percent: Math.floor((completed / total) * 100) }
    // One after the other: a slow receiver must not see an old number last.
    this.sending = this.sending
      .then(() => send(progress))
      .catch((error: unknown) => fault('pipeline', 'progress', error))
  }
}

/** Undefined where nobody is to be told: `true` means the broker of the task around the pipeline, if that has such a thing. */
export function progressReporter(
  wanted: RunOptions['progress'],
  task: Task,
  total: number,
): ProgressReporter | undefined {
  const send = wanted === true ? brokerReport(task) : wanted
  return send ? new ProgressReporter(total, send) : undefined
}

function brokerReport(task: Task): ((progress: Progress) => unknown) | undefined {
  let at: Task | undefined = task
  while (at !== undefined && at.report === undefined) at = at.parent
  const told = at
  return told && (({ percent }) => told.report?.(percent, told))
}
