// What is said about a checkpoint: once of each kind, and not before the run has a span to say it on.
import { notify } from '../kernel/compose.ts'
import type { Middleware, Task } from '../kernel/task.ts'

export interface Trouble {
  readonly name: 'pipeline.checkpoint_failed' | 'pipeline.checkpoint_stale'
  readonly steps: readonly string[]
  readonly error?: unknown
}

const MAX_SHOWN = 10

export class Troubles {
  private readonly said: Trouble[] = []
  private task: Task | undefined

  constructor(private readonly onion: Middleware) {}

  say(trouble: Trouble): void {
    if (this.said.some(({ name }) => name === trouble.name)) return
    this.said.push(trouble)
    if (this.task !== undefined) this.note(this.task, trouble)
  }

  /** From here on they are said on the run's task, with those from before. */
  begin(task: Task): void {
    this.task = task
    for (const trouble of this.said) this.note(task, trouble)
  }

  private note(task: Task, { name, steps, error }: Trouble): void {
    const details = {
      'pipeline.checkpoint.steps': steps.slice(0, MAX_SHOWN),
      'pipeline.checkpoint.count': steps.length,
    }
    notify(this.onion, { kind: 'note', task, level: 'warn', name, details, error })
  }
}
