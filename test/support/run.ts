// Runs tasks without any broker: the message is what an adapter would have read out of one.
import { type Adapter, consumer, type Middleware, type Task, type TaskFields } from 'taskspan'

export type Run = <Result>(
  fields?: Partial<TaskFields>,
  handler?: () => Result | Promise<Result>,
  signal?: AbortSignal,
) => Promise<Result | undefined>

/** One middleware behind an adapter that returns results and rethrows errors, as BullMQ's does. */
export function runner(middleware: Middleware, adapter: Partial<Adapter<TaskFields>> = {}): Run {
  const consume = consumer<TaskFields>({ system: 'memory', read: (fields) => fields, ...adapter }, middleware)
  return (fields, handler, signal) =>
    consume({ name: 'render', queue: 'clips', ...fields }, (handler ?? (() => undefined)) as never, signal)
}

/** The task that a middleware is given for these fields. */
export async function taskOf(fields: Partial<TaskFields> = {}, adapter: Partial<Adapter<TaskFields>> = {}) {
  let task: Task | undefined
  const run = runner((given, next) => {
    task = given
    return next()
  }, adapter)
  await run(fields)
  return task as Task
}

/** A promise that is settled from outside, to hold a handler where a test wants it. */
export function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

/** Lets everything run that is ready to: promises, and what they have put on the next turn of the loop. */
export async function turns(count = 3): Promise<void> {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve))
}

export const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
export const SPAN_ID = 'b7ad6b7169203331'
/** A carrier as another process would have written it. */
export const SENDER = { traceparent: `00-${TRACE_ID}-${SPAN_ID}-01` } as const
