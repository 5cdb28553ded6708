// Sends: the call to the broker is the caller's own, whatever the middleware around it does.
import { currentTask, type Middleware, produce, type Task } from 'taskspan'
import { telemetry } from 'taskspan/telemetry'
import { recordMetrics, recordSpans } from 'taskspan/testing'
import { describe, expect, it, vi } from 'vitest'
import { openSend } from '../../src/kernel/producer.ts'
import { faultsSince } from '../support/faults.ts'
import { runner, turns } from '../support/run.ts'

const boom = (): never => {
  throw new Error('telemetry broke')
}
const fields = { name: 'render', queue: 'clips' }

const MISBEHAVING: readonly [string, Middleware, Record<string, number>][] = [
  ['throws', boom, { 'send middleware': 1, 'send next_not_called': 1 }],
  ['rejects before next()', async () => boom(), { 'send middleware': 1, 'send next_not_called': 1 }],
  [
    'rejects after next()',
    async (_, next) => {
      await next()
      boom()
    },
    { 'send middleware': 1 },
  ],
  [
    'waits before next()',
    async (_, next) => {
      await turns()
      return next()
    },
    { 'send next_not_called': 1 },
  ],
  ['never calls next()', async () => 'nothing', { 'send next_not_called': 1 }],
  [
    'calls next() twice',
    async (_, next) => {
      await next()
      return next()
    },
    {},
  ],
  ['is not async', (() => 'nothing') as never, { 'send middleware': 1, 'send next_not_called': 1 }],
  ['does as it should', (_, next) => next(), {}],
]

describe.each(MISBEHAVING)('a send whose middleware %s', (_, middleware, faults) => {
  it('calls the broker once, in the same tick, and gives back what it gave', async () => {
    const counted = faultsSince()
    const send = vi.fn(() => true)
    expect(produce('memory', middleware, fields, send)).toBe(true)
    expect(send).toHaveBeenCalledTimes(1)
    await turns()
    expect(send).toHaveBeenCalledTimes(1)
    expect(counted()).toEqual(faults)
  })

  it('gives back the very promise, and the very rejection', async () => {
    const sent = Promise.resolve('id-7')
    expect(produce('memory', middleware, fields, () => sent)).toBe(sent)
    await turns()
    const error = new Error('connection closed')
    const counted = faultsSince()
    await expect(produce('memory', middleware, fields, () => Promise.reject(error))).rejects.toBe(error)
    await turns()
    expect(counted()).toEqual('send next_not_called' in faults ? faults : {}) // the rejection is no fault of ours
  })

  it('throws the very error that the broker’s client throws', async () => {
    const error = Object.freeze(new Error('channel closed'))
    const call = (): never =>
      produce('memory', middleware, fields, () => {
        throw error
      })
    expect(call).toThrow(error)
    await turns()
  })
})

it('is a task of its own kind, inside of the task that sends', async () => {
  const seen: (Task | undefined)[] = []
  await runner((task, next) => {
    seen.push(task)
    return next()
  })({}, () => {
    produce(
      'memory',
      (task, next) => {
        seen.push(task)
        return next()
      },
      { ...fields, id: '9' },
      () => seen.push(currentTask()),
    )
  })
  const [outer, send, current] = seen
  expect(send).toMatchObject({ kind: 'send', system: 'memory', name: 'render', queue: 'clips', id: '9' })
  expect(send?.parent).toBe(outer)
  expect(current).toBe(outer)
})

it('carries the span of the send, which ends when the call has ended', async () => {
  await using spans = recordSpans()
  const metrics = recordMetrics()
  const t = telemetry({ registry: metrics.registry, logging: false })
  let carrier: Record<string, string> = {}
  await produce('memory', t, fields, async (given) => {
    carrier = given
    await turns()
    expect(spans.open).toEqual(['send clips'])
  })
  const span = await spans.waitFor('send clips')
  expect(carrier).toEqual({ traceparent: `00-${span.traceId}-${span.spanId}-01` })
  expect(span).toMatchObject({
    kind: 'producer',
    status: 'unset',
    attributes: {
      'messaging.system': 'memory',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'clips',
      'taskiq.task.name': 'render',
      'taskiq.outcome': 'success',
    },
  })
  expect(await metrics.series('taskiq_messages_sent_total')).toMatchObject([
    { labels: { queue: 'clips', task_name: 'render' }, value: 1 },
  ])
})

describe('a send that only telemetry stands around', () => {
  const around = () => {
    const metrics = recordMetrics()
    return telemetry({ registry: metrics.registry, logging: false })
  }

  it('has ended when the call has answered', async () => {
    await using spans = recordSpans()
    expect(produce('memory', around(), fields, () => true)).toBe(true)
    expect(spans.open).toEqual([])
    expect(spans.one('send clips').attributes['taskiq.outcome']).toBe('success')
  })

  it('throws the very error that the client throws, told on its span', async () => {
    await using spans = recordSpans()
    const error = new RangeError('channel closed')
    const call = () =>
      produce('memory', around(), fields, (): never => {
        throw error
      })
    expect(call).toThrow(error)
    expect(spans.one('send clips')).toMatchObject({ status: 'error', attributes: { 'error.type': 'RangeError' } })
  })

  it("follows a promise of the client's own kind, and gives back that very object", async () => {
    await using spans = recordSpans()
    const own = Object.defineProperty({}, 'then', {
      value: (_: unknown, no: (error: unknown) => void) => void setTimeout(no, 5, new RangeError('nacked')),
    })
    expect(produce('memory', around(), fields, () => own)).toBe(own)
    expect(spans.open).toEqual(['send clips'])
    expect(await spans.waitFor('send clips')).toMatchObject({
      status: 'error',
      attributes: { 'error.type': 'RangeError' },
    })
  })

  it('does not mind an answer that cannot be asked whether it is a promise', async () => {
    const counted = faultsSince()
    const answer = Object.defineProperty({}, 'then', {
      get: () => {
        throw new Error('not mine')
      },
    })
    expect(produce('memory', around(), fields, () => answer)).toBe(answer)
    expect(counted()).toEqual({ 'send answer': 1 })
  })
})

it('is an ERROR span, and no message sent, when the broker refuses it', async () => {
  await using spans = recordSpans()
  const metrics = recordMetrics()
  const t = telemetry({ registry: metrics.registry, logging: false })
  const refused = produce('memory', t, fields, () => Promise.reject(new RangeError('too large')))
  await expect(refused).rejects.toThrow('too large')
  const span = await spans.waitFor('send clips')
  expect(span).toMatchObject({ status: 'error', attributes: { 'error.type': 'RangeError' } })
  expect(span.events).toHaveLength(1)
  expect(await metrics.value('taskiq_messages_sent_total')).toBeUndefined()
})

describe('a send that is told of its end', () => {
  it('has a carrier and a context at once, and ends when it is told', async () => {
    await using spans = recordSpans()
    const metrics = recordMetrics()
    const t = telemetry({ registry: metrics.registry, logging: false })
    const send = openSend('memory', t, { name: '', queue: 'clips' })
    expect(send.carrier).toHaveProperty('traceparent')
    await turns()
    expect(spans.open).toEqual(['send clips'])
    send.add({ 'messaging.batch.message_count': 3 }, 'render')
    send.end()
    const span = await spans.waitFor('send clips')
    expect(span.attributes).toMatchObject({ 'messaging.batch.message_count': 3, 'taskiq.task.name': 'render' })
    expect(await metrics.series('taskiq_messages_sent_total')).toMatchObject([
      { labels: { queue: 'clips', task_name: 'render' }, value: 3 },
    ])
  })

  it('ends as an error with what it is told', async () => {
    await using spans = recordSpans()
    const t = telemetry({ metrics: false, logging: false })
    openSend('memory', t, fields).end({ error: new RangeError('too large') })
    expect((await spans.waitFor('send clips')).attributes['error.type']).toBe('RangeError')
  })

  it.each(MISBEHAVING)('never throws, also when its middleware %s', async (_, middleware) => {
    const send = openSend('memory', middleware, fields)
    expect(send.carrier).toEqual({})
    send.add({ a: 1 })
    send.end({ error: new Error('no') })
    send.end()
    await turns()
  })
})
