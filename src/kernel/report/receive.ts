// A message of another process, taken in: outside of whatever task or request happened to be active.
import { ROOT_CONTEXT } from '@opentelemetry/api'
import { notify } from '../compose.ts'
import { guard } from '../faults.ts'
import { isReport, type Message, readReport } from '../report.ts'
import { NO_TASK, runInScope } from '../scope.ts'
import type { Middleware } from '../task.ts'

/**
 * Tells the middleware what a message says; all that is not ours, and all that is wrong with it, does nothing.
 *
 * @param from whose gauges it may tell; undefined takes none
 */
export function receive(
  message: unknown,
  from: object | undefined,
  middleware: Middleware,
  also: (message: Message) => void = () => {},
): void {
  guard('processes', 'receive', () => {
    if (!isReport(message)) return
    const take = (): void => {
      also(message)
      notify(middleware, { kind: 'reported', report: readReport(message, from) })
    }
    // The channel of a child was opened inside the task that first needed it, and would keep that task's context for good.
    runInScope(NO_TASK, () => guard('processes', 'receive', take), ROOT_CONTEXT)
  })
}
