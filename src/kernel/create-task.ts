// Makes a task from what is known of it.
import { currentTask } from './scope.ts'
import type { Task, TaskFields, TaskKind } from './task.ts'

export const MAX_NAME = 128

/** A task from what is known of it; the defaults stand here and nowhere else. */
export function createTask(
  kind: TaskKind,
  fields: TaskFields,
  rest: Partial<Task> = {},
  message = rest.message,
  signal = rest.signal,
  clock = performance.now(),
): Task {
  const parent = kind === 'task' ? undefined : (rest.parent ?? currentTask())
  return {
    kind,
    system: rest.system,
    name: fields.name.length > MAX_NAME ? fields.name.slice(0, MAX_NAME) : fields.name,
    queue: fields.queue,
    id: fields.id,
    type: fields.type ?? 'on_demand',
    attempt: fields.attempt ?? 1,
    maxAttempts: fields.maxAttempts,
    priority: fields.priority,
    waitMs: fields.waitMs,
    ageMs: fields.ageMs,
    schedule: fields.schedule,
    carrier: fields.carrier,
    links: fields.links,
    lost: fields.lost,
    attributes: fields.attributes,
    details: fields.details,
    needs: fields.needs,
    message,
    signal,
    parent,
    // By one clock for all that runs inside of a task: cheaper, and nothing starts before what it is part of.
    startedAt: parent === undefined ? Date.now() : parent.startedAt + (clock - parent.clock),
    clock,
    correlation: rest.correlation,
    ending: undefined,
    endDetails: undefined,
    endAttributes: undefined,
    judge: rest.judge,
    isControlFlow: rest.isControlFlow,
    report: rest.report,
    fate: undefined,
    onion: undefined,
    span: undefined,
    log: undefined,
  }
}
