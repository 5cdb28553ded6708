// What no processor sees, through `instrument.observe(worker)`: jobs failed without it, lost locks, retries given up.
import type { Job, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { type Middleware, reject } from 'taskspan'
import { bullmq } from 'taskspan/bullmq'
import { describe, expect, it, onTestFinished } from 'vitest'
import { emitted, ended, openFlow, openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { record } from '../support/record.ts'
import { redisConnection } from '../support/redis.ts'

/** Records, and counts the calls of onFailure. */
async function recordFailures() {
  const failures: [string, unknown][] = []
  const recorded = await record({ onFailure: (error, task) => failures.push([task.name, error]) })
  const total = (outcome: string) => recorded.metrics.value('taskiq_tasks_total', { outcome })
  const failed = () => recorded.metrics.value('taskiq_task_failures_total')
  return { ...recorded, failures, total, failed }
}

describe('a job that its processor saw', () => {
  it('is a failure only once BullMQ gave it up: a backoff strategy that says so', async () => {
    const { t, spans, logs, failures, total, failed } = await recordFailures()
    const instrument = bullmq(t)
    const queue = openQueue(queueName('pay'))
    const worker = openWorker(
      queue.name,
      instrument(async () => {
        throw new TypeError('no funds')
      }),
      { settings: { backoffStrategy: () => -1 } },
    )
    instrument.observe(worker)
    const done = ended(worker)
    await queue.add('pay', {}, { attempts: 3, backoff: { type: 'custom' } })
    const [end] = await done
    expect(end?.job.finishedOn).toBeDefined()

    // The span and the counter keep what was predicted; the failure is counted and told now.
    expect((await spans.waitFor('taskiq.pay')).attributes['taskiq.outcome']).toBe('retry')
    expect(spans.spans).toHaveLength(1)
    expect([await total('retry'), await total('failure'), await failed()]).toEqual([1, undefined, 1])
    const [line] = await logs.waitFor('task.failed', 1)
    expect(line).toMatchObject({
      outcome: 'failure',
      will_retry: false,
      task_name: 'pay',
      error: { type: 'TypeError' },
    })
    expect(failures).toEqual([['pay', end?.value]])
  })

  it('is counted once when it fails for good', async () => {
    const { t, logs, failures, total, failed } = await recordFailures()
    const instrument = bullmq(t)
    const queue = openQueue(queueName('pay'))
    const worker = openWorker(
      queue.name,
      instrument(async () => {
        throw new TypeError('no funds')
      }),
    )
    instrument.observe(worker)
    const done = ended(worker, 2)
    await queue.add('pay', {}, { attempts: 2 })
    await done
    expect([await total('retry'), await total('failure'), await failed()]).toEqual([1, 1, 1])
    expect(logs.named('task.failed')).toHaveLength(1)
    expect(failures).toHaveLength(1)
  })

  it('is no failure when it was rejected or cancelled, though BullMQ calls it failed', async () => {
    const { t, logs, failures, total, failed } = await recordFailures()
    const instrument = bullmq(t)
    const queue = openQueue(queueName('pay'))
    const worker = openWorker(
      queue.name,
      instrument(async (job: Job, _token: string | undefined, _signal: AbortSignal | undefined) => {
        if (job.name === 'odd') throw reject('malformed')
        worker.cancelJob(String(job.id))
        throw new Error('stopped')
      }),
    )
    instrument.observe(worker)
    const done = ended(worker, 2)
    await queue.add('odd', {})
    await queue.add('unwanted', {})
    expect((await done).map(({ event }) => event)).toEqual(['failed', 'failed'])
    expect([await total('rejected'), await total('cancelled'), await failed()]).toEqual([1, 1, undefined])
    expect(logs.named('task.failed')).toEqual([])
    expect(failures).toEqual([])
  })

  it('is a failure when its result cannot be stored, though its handler succeeded', async () => {
    const { t, failures, total, failed, logs, spans } = await recordFailures()
    const instrument = bullmq(t)
    const queue = openQueue(queueName('pay'))
    const worker = openWorker(
      queue.name,
      instrument(async () => {
        const circular: Record<string, unknown> = {}
        circular.self = circular
        return circular
      }),
    )
    instrument.observe(worker)
    const done = ended(worker)
    await queue.add('pay', {})
    expect(await done).toMatchObject([{ event: 'failed' }])
    expect([await total('success'), await total('failure'), await failed()]).toEqual([1, undefined, 1])
    expect(spans.one('taskiq.pay').attributes['taskiq.outcome']).toBe('success')
    expect(logs.named('task.failed')).toMatchObject([{ error: { type: 'TypeError' } }])
    expect(failures).toHaveLength(1)
  })

  it('is counted when a middleware outside of telemetry threw, though no telemetry saw it', async () => {
    const { t, spans, failures, total, failed } = await recordFailures()
    const guard: Middleware = async () => {
      throw new RangeError('not allowed')
    }
    const instrument = bullmq(guard, t)
    const queue = openQueue(queueName('pay'))
    const worker = openWorker(
      queue.name,
      instrument(async () => {}),
    )
    instrument.observe(worker)
    const done = ended(worker, 2)
    await queue.add('forbidden', {}, { attempts: 2 })
    await done
    expect([await total('failure'), await failed(), failures.length]).toEqual([1, 1, 1])
    expect(spans.one('taskiq.forbidden').attributes).toMatchObject({ 'taskiq.attempt': 2, 'error.type': 'RangeError' })
  })

  it('is counted once when a middleware threw before the handler ran', async () => {
    const { t, failures, total, failed } = await recordFailures()
    const guard: Middleware = async (task, next) => {
      if (task.name === 'forbidden') throw new RangeError('not allowed')
      return next()
    }
    const instrument = bullmq(t, guard)
    const queue = openQueue(queueName('pay'))
    let runs = 0
    const worker = openWorker(
      queue.name,
      instrument(async () => {
        runs++
      }),
    )
    instrument.observe(worker)
    const done = ended(worker)
    await queue.add('forbidden', {})
    expect(await done).toMatchObject([{ event: 'failed' }])
    expect(runs).toBe(0)
    expect([await total('failure'), await failed(), failures.length]).toEqual([1, 1, 1])
  })
})

describe('a job that BullMQ failed without its processor', () => {
  it('is a failure of its own: started too often', async () => {
    const { t, spans, logs, failures, total, failed } = await recordFailures()
    const instrument = bullmq(t)
    const queue = openQueue(queueName('pay'))
    let runs = 0
    const worker = openWorker(
      queue.name,
      instrument(async (job: Job, token?: string) => {
        runs++
        await job.moveToDelayed(Date.now() + 1, token)
        throw Object.assign(new Error('later'), { name: 'DelayedError' })
      }),
      { maxStartedAttempts: 2 },
    )
    instrument.observe(worker)
    const done = ended(worker)
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await queue.add('pay', {}, { attempts: 5, telemetry: { metadata: JSON.stringify({ traceparent }) } })
    await done
    expect(runs).toBe(2)

    const [, , failure] = await spans.waitFor('taskiq.pay', 3)
    expect(failure).toMatchObject({
      kind: 'consumer',
      parentSpanId: 'b7ad6b7169203331',
      status: 'error',
      statusMessage: 'job started more than allowable limit',
      attributes: { 'taskiq.outcome': 'failure', 'taskiq.attempt': 1, 'error.type': 'UnrecoverableError' },
      events: [{ name: 'exception' }],
    })
    expect(failure?.attributes).not.toHaveProperty(['taskiq.wait_ms'])
    expect([await total('deferred'), await total('failure'), await failed(), await total('lost')]).toEqual([
      2,
      1,
      1,
      undefined,
    ])
    const [line] = await logs.waitFor('task.failed', 1)
    expect(line).toMatchObject({ task_name: 'pay', queue: queue.name, outcome: 'failure' })
    expect(failures).toHaveLength(1)
  })

  it('is a failure of its own: a child that failed', async () => {
    const { t, spans, failures, total, failed } = await recordFailures()
    const instrument = bullmq(t)
    const [parents, children] = [openQueue(queueName('exports')), openQueue(queueName('clips'))]
    let ran = false
    const worker = openWorker(
      parents.name,
      instrument(async () => {
        ran = true
      }),
    )
    instrument.observe(worker)
    const done = ended(worker)
    await openFlow().add({
      name: 'export',
      queueName: parents.name,
      children: [{ name: 'clip', queueName: children.name, opts: { failParentOnFailure: true } }],
    })
    openWorker(children.name, async () => {
      throw new Error('broken clip')
    })
    expect(await done).toMatchObject([{ event: 'failed' }])
    expect(ran).toBe(false)
    const span = await spans.waitFor('taskiq.export')
    expect(span.statusMessage).toMatch(/^child .+ failed$/)
    expect([await total('failure'), await failed(), failures.length]).toEqual([1, 1, 1])
  })
})

describe('events of a worker', () => {
  it.each([undefined, Promise.resolve()])('are not to be had of %s, which is none', (worker) => {
    expect(() => bullmq().observe(worker as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('a lock that cannot be renewed is counted and logged', async () => {
    const { t, metrics, logs } = await record()
    const instrument = bullmq(t)
    const queue = openQueue(queueName('slow'))
    const redis = new Redis(redisConnection())
    onTestFinished(() => redis.disconnect())
    let finish = (): void => {}
    const worker = openWorker(
      queue.name,
      instrument((job: Job) => {
        return new Promise<void>((resolve) => {
          finish = resolve
          // Somebody else takes the lock away: an operator, an eviction.
          void redis.del(`${queue.toKey(String(job.id))}:lock`)
        })
      }),
      { lockDuration: 60, stalledInterval: 60_000 },
    )
    const observation = instrument.observe(worker)
    const lost = emitted(worker, 'lockRenewalFailed')
    await queue.add('render', {})
    const [ids] = await lost
    expect(ids).toHaveLength(1)
    const labels = { queue: queue.name, event: 'lock_lost' }
    expect(await metrics.value('taskiq_broker_events_total', labels)).toBe(1)
    expect(logs.named('broker.lock_lost')).toMatchObject([{ level: 'warning', queue: queue.name }])
    await observation.close()
    finish()
  })

  it("a worker's error is counted and logged", async () => {
    const { t, metrics, logs } = await record()
    const instrument = bullmq(t)
    const worker = openWorker(queueName('slow'), async () => {})
    instrument.observe(worker)
    worker.emit('error', new Error('connect ECONNREFUSED redis://:secret@localhost'))
    const labels = { queue: worker.name, event: 'worker_error' }
    expect(await metrics.value('taskiq_broker_events_total', labels)).toBe(1)
    const [line] = logs.named('broker.worker_error')
    expect(line).toMatchObject({ error: { message: expect.stringContaining('ECONNREFUSED') } })
    expect(JSON.stringify(line)).not.toContain('secret')
  })

  it('closing an observation removes its listeners and no others', async () => {
    const { t, metrics } = await record()
    const instrument = bullmq(t)
    const worker = openWorker(queueName('slow'), async () => {})
    const mine = (): void => {}
    for (const event of ['failed', 'stalled', 'lockRenewalFailed'] as const) worker.on(event, mine)
    const before = listeners(worker)
    const first = instrument.observe(worker)
    const second = instrument.observe(worker)
    expect(listeners(worker)).not.toEqual(before)
    await first.close()
    await first.close()
    expect(listeners(worker)).not.toEqual(before)
    await second[Symbol.asyncDispose]()
    expect(listeners(worker)).toEqual(before)
    worker.emit('error', new Error('not ours any more'))
    expect(await metrics.value('taskiq_broker_events_total')).toBeUndefined()
  })

  it('nothing that a listener of ours meets reaches the worker', async () => {
    const { t, faults } = await record()
    const instrument = bullmq(t)
    const worker = openWorker(queueName('slow'), async () => {})
    const errors: unknown[] = []
    worker.on('error', (error) => errors.push(error))
    instrument.observe(worker)
    worker.emit('failed', undefined, new Error('its job was removed'), 'active')
    worker.emit('failed', hostileJob(), new Error('hostile'), 'active')
    expect(errors).toEqual([])
    expect(await faults()).toBe(1)
  })
})

function listeners(worker: Worker): Record<string, unknown[]> {
  return Object.fromEntries(worker.eventNames().map((event) => [String(event), worker.listeners(event)]))
}

function hostileJob(): Job {
  return new Proxy({} as Job, {
    get() {
      throw new Error('no')
    },
  })
}
