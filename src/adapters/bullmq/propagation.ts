// BullMQ's telemetry option: `send` spans for add, bulk, flows and schedulers; silence for its plumbing; never a throw.
import { type Attributes, type Context, context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api'
import type { Span, Telemetry } from 'bullmq'
import { fault, guard } from '../../kernel/faults.ts'
import { ATTR } from '../../kernel/names.ts'
import { type OpenSend, openSend } from '../../kernel/producer.ts'
import { extract, parseCarrier } from '../../kernel/propagation.ts'
import { runInContext } from '../../kernel/scope.ts'
import type { Middleware } from '../../kernel/task.ts'
import { HAS_CHILDREN } from './read.ts'

// BullMQ wraps every operation: contextManager.active, [fromMetadata], tracer.startSpan, span.setAttributes (the queue),
// span.setSpanOnContext, [getMetadata], contextManager.with, then span.end. Most of it stands outside any try: a throw
// here rejects the user's add(), also after the job was stored, or stops a worker's loop. Hence the guards.

/** What the message sent in this context carries; absent for plumbing, so that BullMQ leaves `tm` as it is. */
const CARRIER = createContextKey('taskspan.bullmq.carrier')

const CONSUMER = 4 // BullMQ's SpanKind.CONSUMER, without importing BullMQ
const WORKER_OPERATIONS = /^(process|getNextJob|startStalledCheckTimer) /

export function bullmqTelemetry(middleware: Middleware): Telemetry<Context> {
  let servesWorker = false

  return {
    tracer: {
      startSpan(name, options, parent) {
        const kind: number | undefined = options?.kind
        if (kind === CONSUMER || WORKER_OPERATIONS.test(name)) servesWorker = true
        if (kind === CONSUMER) return new OperationSpan(middleware, undefined, parent ?? ROOT_CONTEXT)
        const sends = /^add(Bulk|Node)? /.test(name) && !(servesWorker && isTick())
        return new OperationSpan(middleware, sends ? name : undefined)
      },
    },
    contextManager: {
      active: () => guard('bullmq', 'active', () => context.active()) ?? ROOT_CONTEXT,
      root: () => ROOT_CONTEXT,
      with: (active, fn) => runInContext(active, fn),
      getMetadata: (active) => guard('bullmq', 'metadata', () => metadataOf(active)) ?? '',
      // A hostile carrier must not stop the worker: bullmq-otel's JSON.parse does.
      fromMetadata: (_, metadata) => guard('bullmq', 'metadata', () => extract(parseCarrier(metadata))) ?? ROOT_CONTEXT,
    },
  }
}

// A worker adds the next tick of a schedule through the same option and under the same name as a user's add; only its
// caller tells. Whoever fetched the job is at most ten frames away, and method names survive a bundler.
function isTick(): boolean {
  const { stackTraceLimit } = Error
  try {
    Error.stackTraceLimit = 20
    return String(new Error().stack).includes('nextJobFromJobData')
  } catch {
    return false // an `Error` that was frozen, or a stack that somebody else formats
  } finally {
    guard('bullmq', 'stack', () => {
      Error.stackTraceLimit = stackTraceLimit
    })
  }
}

function metadataOf(active: Context): string {
  const carrier = active.getValue(CARRIER) as Record<string, string> | undefined
  return carrier === undefined || Object.keys(carrier).length === 0 ? '' : JSON.stringify(carrier)
}

/** One operation of BullMQ's: a send if it has a name, else plumbing that leaves no trace. */
class OperationSpan implements Span<Context> {
  private queue = ''
  private send: OpenSend | undefined
  private failure: { error: unknown } | undefined

  constructor(
    private readonly middleware: Middleware,
    private readonly name: string | undefined,
    /** What a job is processed in: its own carrier's context, else the root. Whoever made the worker must not leak in. */
    private readonly start?: Context,
  ) {}

  setSpanOnContext(active: Context): Context {
    return guard('bullmq', 'send', () => this.open(active)) ?? active
  }

  private open(active: Context): Context {
    const isRoot = active.getValue(CARRIER) === undefined
    const plain = active.deleteValue(CARRIER)
    if (this.name === undefined) return this.start ?? plain
    // `add <queue>.<job name>`; of bulk calls and flow nodes BullMQ tells no single name here.
    const prefix = `add ${this.queue}.`
    const name = this.name.startsWith(prefix) ? this.name.slice(prefix.length) : ''
    this.send = openSend('bullmq', this.middleware, { name, queue: this.queue })
    // BullMQ does not say which nodes of a flow have children; the one on top does.
    const { context, carrier } = this.send
    if (isRoot && this.name.startsWith('addNode ')) carrier[HAS_CHILDREN] = '1'
    return context.setValue(CARRIER, carrier)
  }

  setAttribute(key: string, value: unknown): void {
    this.setAttributes({ [key]: value as string })
  }

  setAttributes(attributes: Record<string, unknown>): void {
    guard('bullmq', 'send', () => {
      const { 'bullmq.queue.name': queue, 'bullmq.job.id': id, 'bullmq.job.bulk.count': count } = attributes
      if (typeof queue === 'string' && this.queue === '') this.queue = queue
      const known: Attributes = {}
      if (typeof id === 'string') known[ATTR.messageId] = id
      if (typeof count === 'number') known[ATTR.batchCount] = count
      this.send?.add(known, nameOf(attributes))
    })
  }

  addEvent(): void {}

  recordException(error: unknown): void {
    this.failure = { error }
  }

  end(): void {
    try {
      this.send?.end(this.failure)
    } catch (error) {
      fault('bullmq', 'send', error)
    }
  }
}

// A bulk call has a name only where all its jobs share it.
function nameOf({
  'bullmq.job.name': name,
  'bullmq.job.bulk.names': names,
}: Record<string, unknown>): string | undefined {
  if (typeof name === 'string') return name
  return Array.isArray(names) && new Set(names).size === 1 ? String(names[0]) : undefined
}
