// The kernel's public face: a table of contents. Importing it loads no peer but @opentelemetry/api.
export { around } from './kernel/around.ts'
export { compose, notify } from './kernel/compose.ts'
export { type Consume, consumer } from './kernel/consumer.ts'
export { type ErrorCode, RejectedError, type RejectReason, reject, TaskspanError } from './kernel/errors.ts'
export type { TaskEvent } from './kernel/event.ts'
export type { Observer, Started } from './kernel/observe.ts'
export type { Ending, Outcome } from './kernel/outcome.ts'
export { produce } from './kernel/producer.ts'
export { currentTask } from './kernel/scope.ts'
export type {
  Adapter,
  Carrier,
  Correlation,
  Middleware,
  Next,
  Schedule,
  Task,
  TaskFields,
  TaskKind,
  TaskType,
} from './kernel/task.ts'
