// The parent's side of a worker whose processor is a file: the task is told here, around BullMQ's call into the sandbox.
import type { Job, Worker } from 'bullmq'
import { notify } from '../../kernel/compose.ts'
import { consumer } from '../../kernel/consumer.ts'
import { fault, guard } from '../../kernel/faults.ts'
import { type Handover, handover, MARK } from '../../kernel/handover.ts'
import { receive } from '../../kernel/report/receive.ts'
import { type Message, readThrew } from '../../kernel/report.ts'
import { currentTask } from '../../kernel/scope.ts'
import type { Middleware } from '../../kernel/task.ts'
import { type Told, tell } from '../../kernel/told.ts'
import { type Ran, remembering } from './ran.ts'

// Why here and not in the child: a child that is killed cannot tell of its own end, BullMQ's call rejects with it. What
// happens inside (spans, lines, numbers) the child sends over the channel that BullMQ has opened, and BullMQ ignores it.

type Process = (job: Job, token?: string, signal?: AbortSignal) => Promise<unknown>
type Child = { on(event: 'message', listener: (message: unknown) => void): unknown }

/** What BullMQ's worker keeps to itself in its types; its `createSandbox` is documented as what subclasses may change. */
interface Sandboxing {
  processFn?: Process
  readonly childPool?: { readonly retained?: Readonly<Record<string, Child>> }
}

const OBSERVED = Symbol.for('taskspan.observed.1')

/** Runs the worker's sandboxed jobs through the middlewares from now on; gives the function that ends it. */
export function adopt(worker: Worker, middleware: Middleware, ran: Ran): () => void {
  const sandboxing = worker as unknown as Sandboxing
  const { processFn, childPool } = sandboxing
  if (childPool === undefined) return () => {}
  if (typeof processFn !== 'function' || typeof childPool.retained !== 'object') {
    fault('bullmq', 'sandbox') // a BullMQ that is made otherwise: each child tells of its tasks itself
    return () => {}
  }
  if (OBSERVED in processFn) return () => {}

  const consume = consumer(remembering(ran), middleware)
  const children = new Children(middleware)
  const listen = (): void => children.listen(Object.values(childPool.retained ?? {}))
  const handler = (job: Job, token?: string, signal?: AbortSignal): Promise<unknown> => {
    const task = currentTask()
    if (task !== undefined) ran.set(job, task)
    const run = ++runs
    const takes = { lines: false }
    notify(middleware, { kind: 'handing_over', takes })
    const takeBack = give(job, handover(run, task, takes.lines), listen)
    return children.named(run, processFn.call(worker, job, token, signal)).finally(takeBack)
  }
  const observed: Process = (job, token, signal) => consume(job, () => handler(job, token, signal), signal)
  sandboxing.processFn = Object.assign(observed, { [OBSERVED]: true })
  return () => {
    if (sandboxing.processFn === observed) sandboxing.processFn = processFn
  }
}

let runs = 0

// BullMQ asks the job for what it sends, when it has a child to send it to: that is the moment to listen to the child.
function give(job: Job, handed: Handover, listen: () => void): () => void {
  const own = job as { asJSONSandbox?: () => object }
  const asJson = own.asJSONSandbox
  if (typeof asJson !== 'function') {
    fault('bullmq', 'sandbox')
    return () => {}
  }
  const value = (): object => {
    guard('bullmq', 'sandbox', listen)
    return { ...asJson.call(job), [MARK]: handed }
  }
  guard('bullmq', 'sandbox', () => Object.defineProperty(own, 'asJSONSandbox', { value, configurable: true }))
  return () => guard('bullmq', 'sandbox', () => delete own.asJSONSandbox)
}

/** The children of one worker, and what they say of the errors that cross over without their class. */
class Children {
  private readonly known = new WeakSet<Child>()
  private readonly running = new Map<number, { told?: Told }>()

  constructor(private readonly middleware: Middleware) {}

  // Never taken off: BullMQ removes all listeners of a child that has ended, and a job may outlive its observation.
  listen(children: readonly Child[]): void {
    for (const child of children) {
      if (this.known.has(child)) continue
      this.known.add(child)
      child.on('message', (message) => receive(message, undefined, this.middleware, (ours) => this.threw(ours)))
    }
  }

  /** The same promise; before it rejects, what is known of its error is remembered. */
  async named(run: number, result: Promise<unknown>): Promise<unknown> {
    const entry: { told?: Told } = {}
    this.running.set(run, entry)
    try {
      return await result
    } catch (error) {
      tell(error, entry.told ?? ofCopy(error))
      throw error
    } finally {
      this.running.delete(run)
    }
  }

  private threw(message: Message): void {
    const threw = readThrew(message)
    const entry = threw && this.running.get(threw.run)
    if (entry !== undefined) entry.told = { type: threw?.type, reason: threw?.reason }
  }
}

// BullMQ copies an error's own properties: a name that its class has is lost, but stands at the head of the stack.
function ofCopy(error: unknown): Told {
  const { name, message, stack } = (error ?? {}) as { name?: unknown; message?: unknown; stack?: unknown }
  if (/^Unexpected exit code: /.test(String(message))) return { type: 'SandboxExited' }
  if (name !== 'Error') return {}
  return { type: /^([A-Za-z_$][\w$.]{0,63}): /.exec(String(stack).slice(0, 100))?.[1] }
}
