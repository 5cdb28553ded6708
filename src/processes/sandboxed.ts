// sandboxed(): the one line around a handler that BullMQ runs in a process or a thread of its own.
import type { Processor } from 'bullmq'
import { bullmq } from '../adapters/bullmq.ts'
import { show, TaskspanError } from '../kernel/errors.ts'
import { guard } from '../kernel/faults.ts'
import { type Handover, readHandover } from '../kernel/handover.ts'
import { errorType, rejectReason } from '../kernel/outcome.ts'
import { redirect } from '../middleware/logging/reported.ts'
import { instrumentsOf } from '../middleware/metrics/registry.ts'
import { type Telemetry, telemetry } from '../telemetry.ts'
import { channel } from './channel.ts'
import { Post } from './post.ts'
import { flushOwn, recordSpans } from './spans.ts'

// How long a number may wait in a handler that writes no line and ends no span.
const NUMBERS_MS = 1_000

/**
 * Wraps a handler that BullMQ runs in a file of its own, in a child process or a worker thread.
 *
 * Where the parent observes its worker (`instrument.observe(worker)`), the parent tells of the task, also of one whose
 * process is killed, and everything inside arrives there: spans under the parent's own SDK and resource, metrics in its
 * registry, log lines in its logger. Where it does not, this process stands alone, as with `instrument(handler)`.
 *
 * @param t your own telemetry, for its options and for pipelines. Default: `telemetry()`
 * @throws {TaskspanError} `INVALID_OPTION` for anything but a function
 * @example
 * // render.processor.ts, given to `new Worker('render', new URL('./render.processor.js', import.meta.url), …)`
 * export default sandboxed(async (job) => render(job.data))
 */
// biome-ignore lint/suspicious/noExplicitAny: BullMQ's own default for a processor whose types the user has not given
export function sandboxed<P extends (job: any, token?: string, signal?: AbortSignal) => unknown>(
  handler: P,
  t: Telemetry = telemetry(),
): P {
  if (typeof handler !== 'function') {
    throw new TaskspanError('INVALID_OPTION', `sandboxed: a handler must be a function, got ${show(handler)}.`)
  }
  const instrumented = bullmq(t)(handler as unknown as Processor) as unknown as P
  let post: Post | undefined

  async function inSandbox(this: unknown, ...args: Parameters<P>): Promise<unknown> {
    const handover = readHandover(args[0])
    if (handover !== undefined) post ??= guard('processes', 'open', () => open(t, handover))
    const to = post
    if (to === undefined) return Reflect.apply(instrumented, this, args)
    const timer = setInterval(() => to.flush(), NUMBERS_MS)
    timer.unref()
    try {
      return await Reflect.apply(instrumented, this, args)
    } catch (error) {
      if (handover !== undefined) guard('processes', 'threw', () => to.threw(named(handover.run, error)))
      throw error
    } finally {
      clearInterval(timer)
      // Before BullMQ sends how it ended: the channel keeps the order, so the parent knows all of it by then.
      guard('processes', 'flush', () => to.flush())
      flushOwn()
    }
  }
  Object.defineProperties(inSandbox, {
    length: { value: handler.length, configurable: true },
    name: { value: handler.name, configurable: true },
  })
  return inSandbox as unknown as P
}

/** From here on this process tells its parent; it is the first moment at which there is one that listens. */
function open(t: Telemetry, { span, takesLines }: Handover): Post | undefined {
  const send = channel()
  if (send === undefined) return undefined
  const post = new Post({ send, instruments: t.registry && instrumentsOf(t.registry, t.prefix) })
  const [logger] = t.loggers
  if (takesLines && logger !== undefined) redirect(logger, (line) => post.line(line))
  if (span !== undefined) recordSpans((text) => post.span(text))
  return post
}

function named(run: number, error: unknown) {
  const reason = rejectReason(error)
  return { run, type: errorType(error), ...(reason !== undefined && { reason }) }
}
