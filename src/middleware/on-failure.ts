// Tells the user's own error tracker of each final failure, once; whatever it does, the task does not feel it.
import { around } from '../kernel/around.ts'
import type { TaskEvent } from '../kernel/event.ts'
import { fault, guard } from '../kernel/faults.ts'
import type { Middleware, Task } from '../kernel/task.ts'

export type OnFailure = (error: unknown, task: Task) => unknown

/** Middleware that calls `report` once per final failure of a task: not for retries, not for control flow. */
export function onFailure(report: OnFailure): Middleware {
  const tell = (error: unknown, task: Task): void => {
    guard('on_failure', 'callback', () => {
      // An async callback's rejection must not become an unhandled one.
      Promise.resolve(report(error, task)).catch((rejection: unknown) => fault('on_failure', 'callback', rejection))
    })
  }

  const notice = (event: TaskEvent): void => {
    if (event.kind === 'failed' || event.kind === 'gave_up') tell(event.error, event.task)
    else if (event.kind === 'lost' && event.final) tell(event.error, event.task)
  }
  return around({
    part: 'on_failure',
    end(task, { outcome, error }) {
      if (task.kind === 'task' && outcome === 'failure') tell(error, task)
    },
    notice,
  })
}
