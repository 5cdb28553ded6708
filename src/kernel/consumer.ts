// THE FLOW: message -> task -> onion(handler) -> settle. Everything that any adapter does happens here.
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { compose } from './compose.ts'
import { fault, guard } from './faults.ts'
import { type Ending, failed, type Outcome, succeeded } from './outcome.ts'
import { runInContext } from './propagation.ts'
import { type Scope, shared } from './shared.ts'
import { type Adapter, createTask, type Middleware, type Next, type Task } from './task.ts'

/** Runs one message through the onion and settles it. `handler` is called at most once. */
export type Consume<Message> = <Result>(
  message: Message,
  handler: () => Result | Promise<Result>,
  signal?: AbortSignal,
) => Promise<Result>

/**
 * Joins an adapter and a middleware into what runs each message.
 *
 * The promise gives the handler's own result, or rejects with the handler's own error object. With an adapter that
 * settles, the error belongs to the broker: the promise then resolves with `undefined` after the message was settled.
 *
 * @example
 * const consume = consumer(memoryAdapter, telemetry())
 * broker.onMessage((message) => consume(message, () => handle(message.body)))
 */
export function consumer<Message>(adapter: Adapter<Message>, middleware: Middleware): Consume<Message> {
  const onion = compose(middleware)
  return <Result>(message: Message, handler: () => Result | Promise<Result>, signal?: AbortSignal) => {
    const task = toTask(adapter, message, signal)
    const running = within(task, () => onion(task, handler as Next))
    return (adapter.settle === undefined ? running : settle(adapter, message, task, running)) as Promise<Result>
  }
}

/** Reads a message into a task; whatever is wrong with the message, there is a task, and its handler will run. */
export function toTask<Message>(adapter: Adapter<Message>, message: Message, signal?: AbortSignal): Task {
  const judge = (error: unknown): Outcome =>
    adapter.judge === undefined
      ? 'failure'
      : (guard(adapter.system ?? 'adapter', 'judge', () => adapter.judge?.(error, message, task)) ?? 'failure')
  const { report: tell } = adapter
  const report = tell && ((percent: number): unknown => tell(percent, message))
  const isControlFlow = (error: unknown): boolean =>
    adapter.isControlFlow === undefined
      ? judge(error) === 'deferred'
      : (guard(adapter.system ?? 'adapter', 'judge', () => adapter.isControlFlow?.(error, message)) ?? false)
  const rest = { system: adapter.system, message, signal, judge, isControlFlow, report }
  const task: Task = readTask(adapter, message, rest)
  return task
}

function readTask<Message>(adapter: Adapter<Message>, message: Message, rest: Partial<Task>): Task {
  try {
    return createTask('task', adapter.read(message), rest)
  } catch (error) {
    fault(adapter.system ?? 'adapter', 'read', error)
    return createTask('task', { name: 'unknown', queue: 'unknown' }, rest)
  }
}

/**
 * Runs `fn` with `task` as the current task and nothing else. A worker made inside a request, and whatever context was
 * active when the message arrived, must not leak in: the task starts from the root.
 */
export function within<T>(task: Task, fn: () => T, bound: Scope['bound'] = EMPTY): T {
  const run = (): T => shared.scope.run({ task, bound }, fn)
  const active = guard('propagation', 'context', () => context.active())
  return active === ROOT_CONTEXT ? run() : runInContext(ROOT_CONTEXT, run)
}

/** Runs `fn` with `task` as the current task, inside of what is in force: the active context and the bound keys stay. */
export function inside<T, Args extends unknown[]>(task: Task, fn: (...args: Args) => T, ...args: Args): T {
  return shared.scope.run({ task, bound: shared.scope.getStore()?.bound ?? EMPTY }, fn, ...args)
}

async function settle<M>(adapter: Adapter<M>, message: M, task: Task, running: Promise<unknown>): Promise<unknown> {
  let ending: Ending
  let result: unknown
  try {
    result = await running
    ending = succeeded(task)
  } catch (error) {
    ending = failed(task, error)
  }
  try {
    await adapter.settle?.(message, ending, task)
  } catch (error) {
    fault(adapter.system ?? 'adapter', 'settle', error)
  }
  return result
}

const EMPTY = Object.freeze({})
