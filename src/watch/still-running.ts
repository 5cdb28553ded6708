// Says of tasks that run for long that they still do: at a first time, then each time that it has doubled.
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { notify } from '../kernel/compose.ts'
import { LINE } from '../kernel/names.ts'
import { runInContext } from '../kernel/scope.ts'
import type { Middleware, Task } from '../kernel/task.ts'

// A process that holds thousands of hanging tasks must not drown in its own lines.
const MAX_AT_ONCE = 20

export class StillRunning {
  private readonly nextMs = new WeakMap<Task, number>()

  constructor(
    private readonly telemetry: Middleware & { readonly running: ReadonlySet<Task> },
    private readonly afterMs: number,
  ) {}

  look(): void {
    const now = performance.now()
    let said = 0
    // Oldest first: behind the first that is too young, all are.
    for (const task of this.telemetry.running) {
      const elapsedMs = now - task.clock
      if (elapsedMs < this.afterMs || said === MAX_AT_ONCE) return
      if (elapsedMs < (this.nextMs.get(task) ?? this.afterMs)) continue
      this.nextMs.set(task, elapsedMs * 2)
      this.say(task, elapsedMs)
      said++
    }
  }

  private say(task: Task, elapsedMs: number): void {
    const { span } = task
    const inside = span === undefined ? ROOT_CONTEXT : trace.setSpan(context.active(), span)
    const details = { elapsed_ms: Math.round(elapsedMs) }
    runInContext(inside, () =>
      notify(this.telemetry, { kind: 'note', task, level: 'warn', name: LINE.stillRunning, details }),
    )
  }
}
