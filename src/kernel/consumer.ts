// THE FLOW: message -> task -> onion(handler) -> settle. Everything that any adapter does happens here.
import { compose } from './compose.ts'
import { createTask } from './create-task.ts'
import { fault, guard } from './faults.ts'
import { type Ending, failed, type Outcome, succeeded } from './outcome.ts'
import { within } from './scope.ts'
import type { Adapter, Middleware, Next, Task } from './task.ts'

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
  const rules = rulesOf(adapter)
  return <Result>(message: Message, handler: () => Result | Promise<Result>, signal?: AbortSignal) => {
    const task = toTask(adapter, message, signal, rules)
    const running = within(task, onion, handler as Next)
    return (adapter.settle === undefined ? running : settle(adapter, message, task, running)) as Promise<Result>
  }
}

/** What an adapter says of each of its tasks; made once, not once per task. */
type Rules = Pick<Task, 'system' | 'judge' | 'isControlFlow' | 'report'>

function rulesOf<Message>(adapter: Adapter<Message>): Rules {
  const { system, report } = adapter
  const part = system ?? 'adapter'
  const judge = (error: unknown, task: Task): Outcome =>
    adapter.judge === undefined
      ? 'failure'
      : (guard(part, 'judge', () => adapter.judge?.(error, task.message as Message, task)) ?? 'failure')
  const isControlFlow = (error: unknown, task: Task): boolean =>
    adapter.isControlFlow === undefined
      ? judge(error, task) === 'deferred'
      : (guard(part, 'judge', () => adapter.isControlFlow?.(error, task.message as Message)) ?? false)
  const tell = report && ((percent: number, task: Task): unknown => report(percent, task.message as Message))
  return { system, judge, isControlFlow, report: tell }
}

/** Reads a message into a task; whatever is wrong with the message, there is a task, and its handler will run. */
export function toTask<Message>(
  adapter: Adapter<Message>,
  message: Message,
  signal?: AbortSignal,
  rules = rulesOf(adapter),
): Task {
  try {
    return createTask('task', adapter.read(message), rules, message, signal)
  } catch (error) {
    fault(adapter.system ?? 'adapter', 'read', error)
    return createTask('task', { name: 'unknown', queue: 'unknown' }, rules, message, signal)
  }
}

// By `then`, not by an async function: two promises fewer for each message.
function settle<M>(adapter: Adapter<M>, message: M, task: Task, running: Promise<unknown>): Promise<unknown> {
  return running.then(
    (result) => settled(adapter, message, task, succeeded(task), result),
    (error: unknown) => settled(adapter, message, task, failed(task, error), undefined),
  )
}

function settled<M>(adapter: Adapter<M>, message: M, task: Task, ending: Ending, result: unknown): unknown {
  const part = adapter.system ?? 'adapter'
  try {
    const settling = adapter.settle?.(message, ending, task)
    if (settling === undefined) return result
    return Promise.resolve(settling).then(
      () => result,
      (error: unknown) => {
        fault(part, 'settle', error)
        return result
      },
    )
  } catch (error) {
    fault(part, 'settle', error)
    return result
  }
}
