// The keys that join telemetry to a request: what travels, what does not, and where the values are seen.
import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { compose, produce, type TaskFields } from 'taskspan'
import { bind, log, logging } from 'taskspan/logging'
import { telemetry } from 'taskspan/telemetry'
import { recordLogs, recordSpans } from 'taskspan/testing'
import { injectHeaders, tracing } from 'taskspan/tracing'
import { describe, expect, it } from 'vitest'
import { faultsOf } from '../support/faults.ts'
import { record } from '../support/record.ts'
import { runner, SENDER } from '../support/run.ts'

const from = (baggage: string): Partial<TaskFields> => ({ carrier: { ...SENDER, baggage } })
const quiet = { metrics: false, logging: false } as const

describe('a key that is allowed', () => {
  it('comes with the message: a span attribute and a field of every line, also of those in the handler', async () => {
    const { spans, logs, t } = await record({ correlation: ['request_id'] })
    await runner(t)(from('request_id=r-1'), () => log().info('inside'))
    expect(spans.one('taskiq.render').attributes).toMatchObject({ request_id: 'r-1' })
    expect(logs.lines.map(({ message, request_id }) => [message, request_id])).toEqual([
      ['task.started', 'r-1'],
      ['inside', 'r-1'],
      ['task.succeeded', 'r-1'],
    ])
  })

  it('goes on with every message and request that the task sends, over any number of hops', async () => {
    const { spans, t } = await record({ correlation: ['request_id'] })
    const run = runner(t)
    const hop = (carrier: TaskFields['carrier']) =>
      run({ carrier }, () => produce('memory', t, { name: 'next', queue: 'clips' }, (sent) => sent))
    const first = bind({ request_id: 'r-1' }, () =>
      produce('memory', t, { name: 'first', queue: 'clips' }, (carrier) => carrier),
    )
    const second = await hop(await hop(await hop(first)))
    expect(second).toMatchObject({ baggage: 'request_id=r-1' })
    expect(await run({ carrier: second }, () => injectHeaders())).toMatchObject({ baggage: 'request_id=r-1' })
    expect(spans.named('taskiq.render').map(({ attributes }) => attributes.request_id)).toEqual(
      new Array(4).fill('r-1'),
    )
    expect(spans.named('send clips').map(({ attributes }) => attributes.request_id)).toEqual(new Array(4).fill('r-1'))
  })

  it('may be baggage of the application where nothing is bound', async () => {
    const { t } = await record({ correlation: ['request_id'] })
    const baggage = propagation.createBaggage({ request_id: { value: 'r-2' }, session: { value: 'secret' } })
    const carrier = context.with(propagation.setBaggage(ROOT_CONTEXT, baggage), () =>
      produce('memory', t, { name: 'n', queue: 'q' }, (given) => given),
    )
    expect(carrier.baggage).toBe('request_id=r-2')
  })

  it('is the innermost of those that are bound, and is bound only inside', async () => {
    const { t } = await record({ correlation: ['request_id'] })
    const send = () => produce('memory', t, { name: 'n', queue: 'q' }, ({ baggage }) => baggage)
    const seen = bind({ request_id: 'outer' }, () => [send(), bind({ request_id: 'inner' }, send), send()])
    expect(seen).toEqual(['request_id=outer', 'request_id=inner', 'request_id=outer'])
    expect(send()).toBeUndefined()
  })

  it('has its value cut at 128 characters, on the way in and on the way out', async () => {
    const { spans, logs, t } = await record({ correlation: ['request_id'] })
    const long = 'r'.repeat(1_000)
    const sent = await runner(t)(from(`request_id=${long}`), () => injectHeaders())
    expect(spans.one('taskiq.render').attributes.request_id).toBe('r'.repeat(128))
    expect(logs.named('task.succeeded')[0]?.request_id).toBe('r'.repeat(128))
    expect(sent?.baggage).toBe(`request_id=${'r'.repeat(128)}`)
    expect(bind({ request_id: long }, () => injectHeaders()).baggage).toBe(`request_id=${'r'.repeat(128)}`)
  })

  it('stays that of its own task where many are interleaved', async () => {
    const { t } = await record({ correlation: ['request_id'], ...quiet })
    const ids = Array.from({ length: 200 }, (_, at) => `r-${at}`)
    const seen = await Promise.all(
      ids.map((id) =>
        runner(t)(from(`request_id=${id}`), async () => {
          await new Promise(setImmediate)
          return injectHeaders().baggage
        }),
      ),
    )
    expect(seen).toEqual(ids.map((id) => `request_id=${id}`))
  })
})

describe('any other key', () => {
  it('is neither read nor written nor left in the context for others to send', async () => {
    const { spans, logs, t } = await record({ correlation: ['request_id'] })
    const seen = await runner(t)(from('request_id=r-1,session=secret,user_email=a%40b.c'), () => {
      log().info('inside')
      return {
        active: propagation.getActiveBaggage()?.getAllEntries(),
        sent: produce('memory', t, { name: 'n', queue: 'q' }, ({ baggage }) => baggage),
        requested: injectHeaders().baggage,
      }
    })
    expect(seen).toEqual({
      active: [['request_id', { value: 'r-1' }]],
      sent: 'request_id=r-1',
      requested: 'request_id=r-1',
    })
    const everything = JSON.stringify([spans.spans.map(({ attributes }) => attributes), logs.lines])
    expect(everything).not.toMatch(/secret|session|user_email/)
  })

  it('does not travel though it is bound: it stands on the lines only', async () => {
    const { logs, t } = await record({ correlation: ['request_id'] })
    const sent = await runner(t)({}, () =>
      bind({ shot: 7, ok: true, none: undefined }, () => {
        log().info('inside')
        return injectHeaders().baggage
      }),
    )
    expect(sent).toBeUndefined()
    expect(logs.named('inside')).toMatchObject([{ shot: '7', ok: 'true' }])
    expect(logs.named('inside')[0]).not.toHaveProperty('none')
    expect(logs.named('task.succeeded')[0]).not.toHaveProperty('shot')
  })
})

describe('correlate()', () => {
  it('adds keys from the payload', async () => {
    const { spans, logs, t } = await record({
      correlate: (task) => ({
        project: (task.message as TaskFields).id,
        size: 3,
        big: true,
        none: undefined,
        deep: {},
      }),
    })
    await runner(t)({ id: 'p-1' })
    const expected = { project: 'p-1', size: '3', big: 'true' }
    expect(spans.one('taskiq.render').attributes).toMatchObject(expected)
    expect(logs.named('task.succeeded')).toMatchObject([expected])
    expect(logs.named('task.succeeded')[0]).not.toHaveProperty('deep')
  })

  it('may throw: counted, and what came with the message is kept', async () => {
    const { spans, t } = await record({
      correlation: ['request_id'],
      correlate() {
        throw new Error('no')
      },
    })
    const faults = faultsOf('correlation', 'correlate')
    await runner(t)(from('request_id=r-1'))
    expect(spans.one('taskiq.render').attributes).toMatchObject({ request_id: 'r-1' })
    expect(faults()).toBe(1)
  })

  it('adds at most 20 keys, cut at 128 characters, and counts that there were more', async () => {
    const counted = faultsOf('correlation', 'too_many_keys')
    const { spans, t } = await record({
      correlate: () => Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`k_${at}`, 'v'.repeat(500)])),
    })
    await runner(t)()
    const { attributes } = spans.one('taskiq.render')
    const added = Object.keys(attributes).filter((key) => key.startsWith('k_'))
    expect(added).toHaveLength(20)
    expect(attributes.k_0).toBe('v'.repeat(128))
    expect(counted()).toBe(1)
  })

  it('is asked once per task, whoever wants to know', async () => {
    let asked = 0
    const { t } = await record({ correlate: () => ({ n: ++asked }) })
    await runner(t)({}, () => log().info('inside'))
    expect(asked).toBe(1)
  })
})

it('is known to single middlewares, whichever of them has the option', async () => {
  await using spans = recordSpans()
  const logs = recordLogs()
  const options = { correlation: ['tenant'] }
  await runner(compose(tracing(), logging({ ...options, logger: logs.logger })))(from('tenant=a'))
  await runner(compose(tracing(options), logging({ logger: logs.logger })))(from('tenant=b'))
  expect(logs.named('task.succeeded').map(({ tenant }) => tenant)).toEqual(['a', 'b'])
  expect(spans.named('taskiq.render')[1]?.attributes.tenant).toBe('b')
})

it('costs nothing that is not asked for: without the option no key is looked at', async () => {
  await using spans = recordSpans()
  const t = telemetry(quiet)
  await runner(t)(from('unasked=r-1'), () => {
    trace.getActiveSpan()?.setAttribute('baggage', String(propagation.getActiveBaggage()?.getEntry('unasked')?.value))
  })
  expect(spans.one('taskiq.render').attributes).toMatchObject({ baggage: 'undefined' })
  expect(spans.one('taskiq.render').attributes).not.toHaveProperty('unasked')
})

// The last one: the list belongs to the process, and is full from here on.
it('lets at most 20 keys travel from one process, and counts what is over', async () => {
  const counted = faultsOf('correlation', 'too_many_keys')
  const keys = Array.from({ length: 25 }, (_, at) => `t_${at}`)
  await record({ correlation: keys })
  const { baggage = '' } = bind(Object.fromEntries(keys.map((key) => [key, 'v'])), () => injectHeaders())
  const left = keys.length - baggage.split(',').length
  expect(left).toBeGreaterThanOrEqual(5)
  // The middlewares of a `telemetry()` share its list.
  expect(counted()).toBeGreaterThanOrEqual(left)
})
