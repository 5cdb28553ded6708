// The producer's side by hand: job options that carry the current trace. Copies; the caller's objects are never written to.
import type { Context } from '@opentelemetry/api'
import type { BulkJobOptions, FlowJob, JobsOptions } from 'bullmq'
import { produce } from '../../kernel/producer.ts'
import { injectCarrier } from '../../kernel/propagation.ts'
import { activeContext, runInContext } from '../../kernel/scope.ts'
import type { Middleware } from '../../kernel/task.ts'
import { HAS_CHILDREN } from './read.ts'

export interface InjectOptions {
  /** The task is one run of this schedule: `task_type` is `cron` on the other side, and the run gets a trace of its own. */
  readonly schedule?: string | undefined
}

export interface InjectBulkOptions extends InjectOptions {
  /** The queue's name, for the names of the `send` spans. */
  readonly queue?: string | undefined
}

/**
 * Job options that carry the current trace and the allowed correlation keys; makes no span (`propagation()` does).
 *
 * @param options your own job options; copied. With `telemetry: { omitContext: true }` nothing is added.
 * @example
 * await queue.add('render_clip', data, inject({ attempts: 3 }))
 */
export function inject<O extends JobsOptions = JobsOptions>(options?: O, extra: InjectOptions = {}): O {
  return { ...withCarrier(options, injectCarrier()), ...scheduled(extra) }
}

/**
 * Bulk jobs, each with a `send` span and a carrier of its own; by `propagation()` alone a bulk call is one span.
 *
 * @example
 * await queue.addBulk(injectBulk(jobs, { queue: 'render' }))
 */
export function sendBulk<J extends { name: string; opts?: BulkJobOptions | undefined }>(
  middleware: Middleware,
  jobs: readonly J[],
  extra: InjectBulkOptions,
): J[] {
  return jobs.map((job) =>
    produce('bullmq', middleware, { name: job.name, queue: extra.queue ?? '' }, (carrier) => ({
      ...job,
      opts: { ...withCarrier(job.opts, carrier), ...scheduled(extra) },
    })),
  )
}

/** A flow whose every node, also one without `opts`, has a `send` span and carries it. */
export function sendFlow<F extends FlowJob>(middleware: Middleware, flow: F): F {
  const root = sendNode(middleware, flow)
  // Not by recursion: jobs that run one after the other are a flow as deep as they are many.
  const sent: Sent[] = [root]
  for (const { copy, context } of sent) {
    if (!copy.children?.length) continue
    copy.children = copy.children.map((child) => {
      const made = runInContext(context, () => sendNode(middleware, child))
      sent.push(made)
      return made.copy
    })
  }
  return root.copy
}

interface Sent<F extends FlowJob = FlowJob> {
  readonly copy: F
  /** That of its span, which those of its children are below. */
  readonly context: Context
}

function sendNode<F extends FlowJob>(middleware: Middleware, flow: F): Sent<F> {
  return produce('bullmq', middleware, { name: flow.name, queue: flow.queueName }, (carrier) => {
    const marked = flow.children?.length ? { ...carrier, [HAS_CHILDREN]: '1' } : carrier
    return {
      copy: { ...flow, opts: withCarrier(flow.opts as JobsOptions | undefined, marked) },
      context: activeContext(),
    }
  })
}

// Beside the carrier, not in it: a queue with `propagation()` writes its own carrier over that of an added job.
function scheduled({ schedule }: InjectOptions): Record<string, string> {
  if (schedule === undefined) return {}
  return { task_type: 'cron', schedule_id: schedule, schedule_time: new Date().toISOString() }
}

function withCarrier<O extends JobsOptions>(options: O | undefined, carrier: Record<string, string>): O {
  // Assigned, not spread: see `amqp/carry.ts`.
  const copy = Object.assign({}, options) as O
  if (copy.telemetry?.omitContext || Object.keys(carrier).length === 0) return copy
  const metadata = JSON.stringify(carrier)
  return Object.assign(copy, { telemetry: Object.assign({}, copy.telemetry, { metadata }) })
}
