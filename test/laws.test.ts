// The laws, one by one, as a user meets them. What belongs to one broker or one part is proved beside that part.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { context, propagation, trace } from '@opentelemetry/api'
import fc from 'fast-check'
import { compose, consumer, currentTask, type Middleware } from 'taskspan'
import { bullmq, propagation as bullmqPropagation, inject } from 'taskspan/bullmq'
import { cron } from 'taskspan/cron'
import { bind } from 'taskspan/logging'
import { render } from 'taskspan/metrics'
import { telemetry } from 'taskspan/telemetry'
import { fakeBroker } from 'taskspan/testing'
import { describe, expect, it } from 'vitest'
import { FAULTY, FAULTY_ON_FAILURE } from './conformance/faulty.ts'
import { ended, openQueue, openWorker, queueName } from './support/bullmq.ts'
import { record } from './support/record.ts'

const adapter = { system: 'memory', read: () => ({ name: 'render', queue: 'clips' }) }

describe('1. Transparent', () => {
  it('any value is returned as it is, and any value is thrown as it is', async () => {
    const { t } = await record()
    const consume = consumer(adapter, t)
    await fc.assert(
      fc.asyncProperty(fc.anything({ withNullPrototype: true, withSparseArray: true }), async (value) => {
        expect(Object.is(await consume({}, () => Promise.resolve([value])).then(([same]) => same), value)).toBe(true)
        const thrown = await consume({}, () => {
          throw value
        }).then(
          () => 'it did not throw',
          (error: unknown) => ({ error }),
        )
        expect(thrown).toSatisfy(({ error }: { error: unknown }) => Object.is(error, value))
      }),
      { numRuns: 200 },
    )
  })
})

describe('2. Harmless', () => {
  it('everything that can throw, at once: the task runs once and ends as it would', async () => {
    const options = Object.assign({}, ...[...FAULTY, ...FAULTY_ON_FAILURE].map((faulty) => faulty.options))
    const { t, faults } = await record(options)
    for (const { arrange } of FAULTY) arrange?.()
    const broker = fakeBroker(t)
    let runs = 0
    broker.consume('clips', () => {
      runs++
      throw new Error('mine')
    })
    broker.send('clips', { name: 'render' })
    const [delivery] = await broker.settled(1)
    expect(delivery).toMatchObject({ settled: 'nack', error: { message: 'mine' } })
    expect(runs).toBe(1)
    expect(await faults()).toBeGreaterThan(3)
  })

  it("a middleware of the user's may fail the task: that is its job", async () => {
    const { t } = await record()
    const refuse: Middleware = async () => {
      throw new Error('not today')
    }
    const broker = fakeBroker(compose(refuse, t))
    broker.consume('clips', () => 'never')
    broker.deliver('clips', { name: 'render' })
    expect(await broker.settled(1)).toMatchObject([{ settled: 'nack', error: { message: 'not today' } }])
  })
})

describe('3. Settle last, settle once', () => {
  it('the broker is told once, after everything, however the task ends', async () => {
    const { t } = await record()
    for (const end of [() => 'fine', () => Promise.reject(new Error('no'))]) {
      const order: string[] = []
      const consume = consumer(
        { ...adapter, settle: (_, { outcome }) => void order.push(`settled ${outcome}`) },
        compose(async (_, next) => {
          try {
            return await next()
          } finally {
            await new Promise(setImmediate)
            order.push('returned')
          }
        }, t),
      )
      await consume({}, end)
      expect(order).toEqual(['returned', order[1]])
      expect(order[1]).toMatch(/^settled (success|failure)$/)
    }
  })
})

describe('4. No ambient surprises', () => {
  it('importing everything starts, opens, registers and patches nothing, and the process ends by itself', {
    timeout: 60_000,
  }, async () => {
    const script = ['--import', 'tsx', 'test/support/import-all.ts']
    const { stdout } = await promisify(execFile)(process.execPath, script, { timeout: 50_000 })
    const { entries, changed } = JSON.parse(stdout) as { entries: string[]; changed: string[] }
    expect(entries.length).toBeGreaterThan(8)
    // What all copies of the package in one process share.
    expect(changed).toEqual(['Symbol(taskspan.shared.1)'])
  })

  it('building everything starts nothing either', async () => {
    const before = process.getActiveResourcesInfo().sort()
    const listeners = () => process.eventNames().map((event) => [event, process.listenerCount(event)])
    const heard = listeners()
    const { registry } = (await record()).metrics
    const t = telemetry({ registry })
    bullmq(t)(async () => {})
    bullmqPropagation(t)
    cron(t)
    expect(process.getActiveResourcesInfo().sort()).toEqual(before)
    expect(listeners()).toEqual(heard)
  })

  it('what is started gives a handle with close() and Symbol.asyncDispose', async () => {
    const { t } = await record()
    const observation = bullmq(t).observe(openWorker(queueName(), null, { autorun: false }))
    expect(observation.close).toBeTypeOf('function')
    expect(observation[Symbol.asyncDispose]).toBeTypeOf('function')
    await observation.close()
  })
})

describe('5. Start from the root', () => {
  it('a task starts from what its message carried, and from nothing else', async () => {
    const { t, spans } = await record({ correlation: ['request_id'] })
    const consume = consumer(adapter, t)
    const baggage = propagation.createBaggage({ session: { value: 's-1' } })
    let inside: unknown
    await trace.getTracer('test').startActiveSpan('request', (span) =>
      context.with(propagation.setBaggage(context.active(), baggage), () =>
        bind({ request_id: 'r-1' }, () =>
          consume({}, () => {
            inside = [propagation.getBaggage(context.active()), currentTask()?.correlation, inject()]
          }).finally(() => span.end()),
        ),
      ),
    )
    const task = spans.one('taskiq.render')
    expect(task.parentSpanId).toBeUndefined()
    expect(task.links).toEqual([])
    const metadata = JSON.stringify({ traceparent: `00-${task.traceId}-${task.spanId}-01` })
    expect(inside).toEqual([undefined, {}, { telemetry: { metadata } }])
  })
})

describe('6. Bounded', () => {
  it('no span is over 64 KiB, and no line, whatever is thrown', async () => {
    const attributes = () => Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`k${n}`, 'x'.repeat(9_999)]))
    const { t, spans, logs } = await record({ correlation: ['request_id'], correlate: attributes })
    const consume = consumer(
      { ...adapter, read: () => ({ name: 'n'.repeat(9_999), queue: 'q', id: 'i'.repeat(99_999) }) },
      t,
    )
    const error = new Error('€'.repeat(5_000_000))
    error.name = 'E'.repeat(1_000_000)
    error.stack = 'at x\n'.repeat(1_000_000)
    await consume({}, () => Promise.reject(error)).catch(() => {})
    const [span] = spans.spans
    const { name, links, events, statusMessage, attributes: written } = span ?? {}
    const size = Buffer.byteLength(JSON.stringify({ name, links, events, statusMessage, written }))
    expect(size).toBeLessThan(64 * 1_024)
    expect(written).toMatchObject({ 'taskiq.truncated': true })
    for (const line of logs.lines) expect(Buffer.byteLength(JSON.stringify(line))).toBeLessThan(64 * 1_024)
    expect(logs.named('task.failed')).toHaveLength(1)
  })

  it('no carrier is over 8 KiB', async () => {
    await record({ correlation: Array.from({ length: 500 }, (_, n) => `key_${n}`) })
    const keys = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`key_${n}`, 'ü'.repeat(5_000)]))
    const injected = trace.getTracer('test').startActiveSpan('request', (span) => {
      span.end()
      return bind(keys, () => inject())
    })
    expect(JSON.stringify(injected).length).toBeLessThan(9_000)
  })
})

describe('7. Private by default', () => {
  it('no payload, result, baggage or credential is in a span, a line, a metric or a job', async () => {
    const { t, spans, logs, metrics } = await record({ correlation: ['request_id'] })
    const queue = openQueue(queueName('pay'), { telemetry: bullmqPropagation(t) })
    const instrument = bullmq(t)
    const worker = openWorker(
      queue.name,
      instrument(async (job) => {
        if (job.name === 'fails') throw new Error('connect to redis://admin:SECRET@db:6379 failed')
        return { receipt: 'SECRET' }
      }),
    )
    instrument.observe(worker)
    const done = ended(worker, 2)
    const baggage = propagation.createBaggage({ session: { value: 'SECRET' } })
    const options = await context.with(propagation.setBaggage(context.active(), baggage), async () => {
      await queue.add('fails', { card: 'SECRET' })
      return (await queue.add('works', { card: 'SECRET' })).opts
    })
    await done
    await logs.waitFor('task.succeeded')
    const { body } = await render(metrics.registry, 'application/openmetrics-text')
    const said = JSON.stringify([spans.spans, spans.spans.map(({ raw }) => raw.events), logs.lines, body, options])
    expect(said).toContain('***@db:6379')
    expect(said).not.toContain('SECRET')
  })
})

describe('8. next() at most once, and awaited', () => {
  it.each(['production', 'development'])('checked in %s', async (environment) => {
    const was = process.env.NODE_ENV
    process.env.NODE_ENV = environment
    try {
      let runs = 0
      const careless: [string, Middleware][] = [
        ['NEXT_CALLED_TWICE', (_, next) => next().then(next)],
        ['NEXT_NOT_AWAITED', async (_, next) => void next()],
      ]
      for (const [code, middleware] of careless) {
        const run = consumer(adapter, middleware)({}, () => new Promise((resolve) => setImmediate(resolve, ++runs)))
        await expect(run).rejects.toMatchObject({ code })
      }
      expect(runs).toBe(2)
    } finally {
      process.env.NODE_ENV = was
    }
  })
})
