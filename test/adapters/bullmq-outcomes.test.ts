// What a throw means to BullMQ, told before BullMQ tells: control flow, another attempt, or the end.
import {
  DelayedError,
  type Job,
  type JobsOptions,
  RateLimitError,
  UnrecoverableError,
  WaitingChildrenError,
  WaitingError,
  type Worker,
  type WorkerOptions,
} from 'bullmq'
import { currentTask, type Ending, reject } from 'taskspan'
import { bullmq } from 'taskspan/bullmq'
import { describe, expect, it } from 'vitest'
import { ended, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { type Recorded, record } from '../support/record.ts'

class Put extends DelayedError {}

// BullMQ looks at the name as well as at the class, so that a copy of the package, or none at all, will do.
const named = (name: string) => Object.assign(new Error('from elsewhere'), { name })

/** A worker whose handler throws on the first run only; resolves when the job has ended. */
async function twice(
  recorded: Recorded,
  first: (job: Job, token: string | undefined, worker: Worker) => unknown,
  opts: JobsOptions = {},
) {
  const queue = openQueue(queueName('render'))
  const worker = openWorker(
    queue.name,
    bullmq(recorded.t)(async (job: Job, token?: string) => {
      if (job.attemptsStarted === 1) throw await first(job, token, worker)
    }),
  )
  const done = ended(worker)
  await queue.add('render', {}, opts)
  const [end] = await done
  const runs = await recorded.spans.waitFor('taskiq.render', 2)
  return { end, runs, queue }
}

const outcomes = (runs: readonly { attributes: object }[]) =>
  runs.map(({ attributes }) => (attributes as Record<string, unknown>)['taskiq.outcome'])

describe("BullMQ's control flow is deferred: no failure, no attempt, and the job runs again", () => {
  const delay = (error: unknown) => async (job: Job, token: string | undefined) => {
    await job.moveToDelayed(Date.now() + 5, token)
    return error
  }
  const wait = (error: unknown) => async (job: Job, token: string | undefined) => {
    await job.moveToWait(token)
    return error
  }

  it.each([
    ['DelayedError inside moveToDelayed', delay(new DelayedError())],
    ['a subclass of DelayedError with another name', delay(new Put())],
    ['an error that is named DelayedError', delay(named('DelayedError'))],
    ['the class DelayedError itself, thrown by mistake', delay(DelayedError)],
    ['WaitingError inside moveToWait', wait(new WaitingError())],
    ['an error that is named WaitingError', wait(named('WaitingError'))],
    [
      'RateLimitError',
      async (_job: Job, _token: string | undefined, worker: Worker) => {
        await worker.rateLimit(5)
        return new RateLimitError()
      },
    ],
    [
      "any error with BullMQ's rate limit message",
      async (_job: Job, _token: string | undefined, worker: Worker) => {
        await worker.rateLimit(5)
        return new TypeError('bullmq:rateLimitExceeded')
      },
    ],
  ])('%s', async (_, first) => {
    const recorded = await record()
    const { end, runs } = await twice(recorded, first, { attempts: 1 })
    expect(end?.event).toBe('completed')
    expect(outcomes(runs)).toEqual(['deferred', 'success'])
    expect(runs[0]).toMatchObject({ status: 'unset', events: [] })
    expect(runs.map(({ attributes }) => attributes['taskiq.attempt'])).toEqual([1, 1])
    expect(await recorded.metrics.value('taskiq_task_failures_total')).toBeUndefined()
    expect(await recorded.metrics.value('taskiq_tasks_lost_total')).toBeUndefined()
    expect(recorded.logs.named('task.deferred')).toMatchObject([{ level: 'info', outcome: 'deferred' }])
  })

  it('WaitingChildrenError while children are added on the way', async () => {
    const recorded = await record()
    const children = openQueue(queueName('clips'))
    const { end, runs } = await twice(recorded, async (job, token) => {
      await children.add('clip', {}, { parent: { id: String(job.id), queue: job.queueQualifiedName } })
      expect(await job.moveToWaitingChildren(String(token))).toBe(true)
      openWorker(children.name, async () => {})
      return new WaitingChildrenError()
    })
    expect(end?.event).toBe('completed')
    expect(outcomes(runs)).toEqual(['deferred', 'success'])
  })

  it("a class of the user's that only shares the name of BullMQ's is an ordinary error, as it is to BullMQ", async () => {
    const recorded = await record()
    const Fake = { DelayedError: class DelayedError extends Error {} }.DelayedError
    const { end, runs } = await twice(recorded, () => new Fake('mine'), { attempts: 2 })
    expect(end).toMatchObject({ event: 'failed', job: { attemptsMade: 1 } })
    expect(outcomes(runs)).toEqual(['retry', 'success'])
  })
})

describe('whether there will be another attempt is predicted', () => {
  /** Runs one job to its first 'failed' event; gives the span's outcome and what BullMQ then did. */
  async function once(error: unknown, opts: JobsOptions, worker: Partial<WorkerOptions> = {}) {
    const { t, spans } = await record()
    const queue = openQueue(queueName('pay'))
    const running = openWorker(
      queue.name,
      bullmq(t)(async () => {
        throw error
      }),
      worker,
    )
    const done = ended(running)
    await queue.add('pay', {}, opts)
    const [end] = await done
    const { attributes, status } = (await spans.waitFor('taskiq.pay', 1))[0] ?? {}
    return {
      outcome: attributes?.['taskiq.outcome'],
      willRetry: attributes?.['taskiq.will_retry'],
      status,
      retried: end?.job.finishedOn === undefined,
    }
  }
  const delay = { backoff: { type: 'fixed', delay: 60_000 } }
  const retry = { outcome: 'retry', willRetry: true, status: 'error', retried: true }
  const failure = { outcome: 'failure', willRetry: false, status: 'error', retried: false }

  class Unpaid extends UnrecoverableError {}

  it.each<[string, unknown, JobsOptions, Partial<WorkerOptions>, object]>([
    ['one attempt by default', new Error('no funds'), {}, {}, failure],
    ['attempts left', new Error('no funds'), { attempts: 2, ...delay }, {}, retry],
    ['no attempts left', new Error('no funds'), { attempts: 1 }, {}, failure],
    ['UnrecoverableError', new UnrecoverableError('no'), { attempts: 5 }, {}, failure],
    ['a subclass of UnrecoverableError', new Unpaid('no'), { attempts: 5 }, {}, failure],
    ['an error named UnrecoverableError', named('UnrecoverableError'), { attempts: 5 }, {}, failure],
    [
      'a class that only shares its name',
      new { UnrecoverableError: class UnrecoverableError extends Error {} }.UnrecoverableError('no'),
      { attempts: 5, ...delay },
      {},
      retry,
    ],
    ['all starts used up', new Error('no'), { attempts: 5, ...delay }, { maxStartedAttempts: 1 }, failure],
    ['starts left', new Error('no'), { attempts: 5, ...delay }, { maxStartedAttempts: 2 }, retry],
    ['an object that is no error', { status: 503, message: 'busy' }, { attempts: 2, ...delay }, {}, retry],
    ['a string', 'no funds', { attempts: 2, ...delay }, {}, retry],
  ])('%s', async (_, error, opts, worker, expected) => {
    expect(await once(error, opts, worker)).toEqual(expected)
  })

  it('reject() ends it, without being a failure', async () => {
    expect(await once(reject('expired'), { attempts: 5 })).toEqual({
      outcome: 'rejected',
      willRetry: false,
      status: 'unset',
      retried: false,
    })
  })

  it("a user's backoff strategy is asked by BullMQ alone", async () => {
    let asked = 0
    const backoffStrategy = (): number => {
      asked++
      return 60_000
    }
    const opts = { attempts: 2, backoff: { type: 'custom' } }
    expect(await once(new Error('no'), opts, { settings: { backoffStrategy } })).toEqual(retry)
    expect(asked).toBe(1)
  })
})

it('every middleware sees the same ending', async () => {
  const endings: (Ending | undefined)[] = []
  const { t } = await record()
  const queue = openQueue(queueName('pay'))
  const worker = openWorker(
    queue.name,
    bullmq(async (task, next) => {
      try {
        return await next()
      } finally {
        endings.push(task.ending)
      }
    }, t)(async () => {
      endings.push(currentTask()?.ending)
      throw new Error('no funds')
    }),
  )
  const done = ended(worker)
  await queue.add('pay', {})
  await done
  expect(endings).toEqual([undefined, expect.objectContaining({ outcome: 'failure', threw: true })])
})
