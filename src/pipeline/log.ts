// The `log` of a step where no logging middleware stands around it.
import type { Task, TaskLog } from '../kernel/task.ts'

// A line that a user wrote must not vanish because telemetry is switched off; the console is what there is without it.
const plain =
  (write: (...args: unknown[]) => void) =>
  (fields: object | string, message?: string): void =>
    typeof fields === 'string' ? write(fields) : write(message ?? '', fields)

const onConsole: TaskLog = {
  debug: plain((...args) => console.debug(...args)),
  info: plain((...args) => console.info(...args)),
  warn: plain((...args) => console.warn(...args)),
  error: plain((...args) => console.error(...args)),
}

/** The log of the task around a step that has none of its own, else the console. */
export function plainLog(task: Task): TaskLog {
  for (let at = task.parent; at !== undefined; at = at.parent) if (at.log !== undefined) return at.log
  return onConsole
}
