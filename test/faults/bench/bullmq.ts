// A lane on BullMQ: Redis is asked by plain clients, so that what a contender's worker says of itself is not believed.
import { randomBytes } from 'node:crypto'
import { type ConnectionOptions, DelayedError, type Job, QueueEvents, type Worker } from 'bullmq'
import type { Instrumented } from '../contenders/contender.ts'
import { plain } from '../contenders/plain.ts'
import type { BrokerUrls } from '../fault.ts'
import type { Fate, Handler, Lane, Message } from './lane.ts'
import { Waiting } from './waiting.ts'

export async function bullmqLane({ redis, prefix }: BrokerUrls, by: Instrumented): Promise<Lane> {
  const name = `clips-${randomBytes(3).toString('hex')}`
  const own = { connection: { url: redis } as ConnectionOptions, prefix }
  const queue = plain.queue(name, own)
  // From the first event on: what happens before it listens must not be missed.
  const events = new QueueEvents(name, { ...own, lastEventId: '0-0' })
  const sender = by.queue(name, own)
  const flows = by.flows(own)
  const plainFlows = plain.flows(own)
  const workers: Worker[] = []
  const runs = new Map<string, number>()
  const endings = new Waiting()
  let troubled = false
  events.on('completed', ({ jobId }) => endings.open(jobId))
  events.on('failed', ({ jobId }) => endings.open(jobId))
  queue.on('error', () => {})
  sender.on('error', () => {})
  flows.on('error', () => {})
  plainFlows.on('error', () => {})
  events.on('error', () => {})

  const look = async (id: string): Promise<Fate> => fateOf(await queue.getJobState(id), (await queue.getJob(id)) as Job)
  const stop = async (): Promise<void> => {
    await Promise.all(workers.splice(0).map((worker) => worker.close(true)))
  }
  return {
    queue: name,
    runs,
    look,
    stop,
    async work(handler, { concurrency = 1 } = {}) {
      const worker = by.worker(
        name,
        processorOf(handler, runs, () => worker),
        {
          ...own,
          concurrency,
          drainDelay: 0.1, // else workers are woken one by one, a second apart
        },
      )
      worker.on('error', () => {
        troubled = true
        endings.openAll()
      })
      workers.push(worker)
      await worker.waitUntilReady()
    },
    async put(...messages) {
      for (const message of messages) await queue.add(message.name ?? 'render', bodyOf(message), optionsOf(message))
    },
    send: (message) => sender.add(message.name ?? 'render', bodyOf(message), optionsOf(message)),
    async ended(id) {
      for (;;) {
        await endings.of(id)
        endings.shut(id) // before the look: what ends during it must be seen
        const fate = await look(id)
        if (fate.end !== 'open') {
          endings.open(id)
          return fate
        }
      }
    },
    async outcome(id) {
      if (!troubled) await endings.of(id)
      return look(id)
    },
    async stored() {
      const jobs = await queue.getJobs(['wait', 'delayed', 'prioritized'], 0, -1, true)
      return jobs.map((job) => ({
        id: String(job.id),
        name: job.name,
        body: job.data,
        beside: JSON.stringify(job.opts),
      }))
    },
    count: () => queue.getJobCountByTypes('wait', 'delayed', 'prioritized', 'waiting-children'),
    senders: [
      { title: 'add()', ids: ['added'], send: () => sender.add('render', {}, { jobId: 'added' }) },
      {
        title: 'addBulk()',
        ids: ['bulk-1', 'bulk-2', 'bulk-3'],
        send: () => sender.addBulk([1, 2, 3].map((n) => ({ name: 'clip', data: {}, opts: { jobId: `bulk-${n}` } }))),
      },
      {
        title: 'a flow',
        ids: ['parent', 'child'],
        send: () =>
          flows.add({
            ...{ name: 'export', queueName: name, opts: { jobId: 'parent' } },
            children: [{ name: 'clip', queueName: name, opts: { jobId: 'child' } }],
          }),
      },
      ...(by.byHand?.senders(queue, plainFlows) ?? []),
      {
        title: 'upsertJobScheduler()',
        ids: [/* an id of BullMQ's own */ 'tick'],
        send: () => sender.upsertJobScheduler('nightly', { every: 3_600_000 }, { name: 'report' }),
      },
    ],
    picky: [],
    scrape: by.scrape,
    async close() {
      await stop()
      await Promise.all([queue.close(), sender.close(), flows.close(), plainFlows.close(), events.close()])
    },
  }
}

function processorOf(handler: Handler, runs: Map<string, number>, worker: () => Worker) {
  // Three parameters, so that BullMQ hands over a signal.
  return (job: Job, token: string | undefined, signal: AbortSignal | undefined) => {
    const id = String(job.id)
    const attempt = (runs.get(id) ?? 0) + 1
    runs.set(id, attempt)
    return handler({
      ...{ id, name: job.name, body: job.data, attempt, signal },
      cancel: () => void worker().cancelJob(id),
      async defer() {
        await job.moveToDelayed(Date.now() + 600_000, token)
        return new DelayedError()
      },
    }) as Promise<unknown>
  }
}

const bodyOf = ({ body }: Message): unknown => body ?? {}

function optionsOf({ id, carrier, raw, attempts }: Message) {
  const metadata = raw ?? (carrier === undefined ? undefined : JSON.stringify(carrier))
  return {
    jobId: id,
    ...(attempts !== undefined && { attempts }),
    ...(metadata !== undefined && { telemetry: { metadata: metadata as string } }),
  }
}

// The state was asked for before the job was: what it says of its end is then there.
function fateOf(state: string, job: Job): Fate {
  return {
    end: state === 'completed' ? 'done' : state === 'failed' ? 'given up' : 'open',
    state,
    result: job.returnvalue,
    reason: job.failedReason?.slice(0, 200),
    reasonLength: job.failedReason?.length,
    stacks: job.stacktrace?.length,
    attemptsMade: job.attemptsMade,
    attemptsStarted: job.attemptsStarted,
  }
}
