// Messages recorded from real Python producers: the right name, id, attempt, type, wait and parent; and TaskIQ's shape.
import { readFileSync } from 'node:fs'
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import type { ConsumeMessage, Options } from 'amqplib'
import { amqp, taskiq } from 'taskspan/amqp'
import { replay } from 'taskspan/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { latch, makeQueue, openChannel, receive } from '../../support/amqp.ts'
import { record } from '../../support/record.ts'

interface Recorded {
  readonly fields: ConsumeMessage['fields']
  readonly properties: ConsumeMessage['properties']
  readonly content: { readonly $base64: string }
  readonly body_json_for_reading: Record<string, unknown>
}

const wire = (file: string): Recorded[] =>
  JSON.parse(readFileSync(new URL(`../../wire/${file}.json`, import.meta.url), 'utf8')) as Recorded[]

const [taskiqMessage, taskiqWithLabels] = wire('taskiq') as [Recorded, Recorded]
const [celeryMessage] = wire('celery-protocol-2') as [Recorded]
const [pikaMessage] = wire('pika') as [Recorded]

// 2.7 s after the TaskIQ messages were queued, an hour and more after the one from pika.
const NOW = 1_795_235_750_000

/** What the span, the metrics and the log of a recorded message say, once it has run. */
async function told(message: unknown, queue: string) {
  const run = await replay(message, async () => 'done', {
    through:
      (...t) =>
      (handler) =>
        amqp(...t).wrap(handler as (message: ConsumeMessage) => unknown, { queue }),
  })
  const [span] = run.spans
  if (span === undefined) throw new Error('There is no span.')
  const { attributes } = span
  return {
    name: span.name,
    id: attributes['messaging.message.id'],
    attempt: attributes['taskiq.attempt'],
    type: attributes.task_type,
    wait: attributes['taskiq.wait_ms'],
    priority: attributes['taskiq.priority'],
    trace: span.traceId,
    parent: span.parentSpanId,
    faults: await run.metrics.value('taskiq_telemetry_errors_total'),
    line: run.logs.named('task.succeeded')[0],
  }
}

const changed = (message: Recorded, headers: Record<string, unknown>, content?: Buffer): unknown => ({
  ...message,
  properties: { ...message.properties, headers: { ...message.properties.headers, ...headers } },
  ...(content && { content }),
})

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('a recorded message', () => {
  it('of TaskIQ: everything from its headers, the wait from its body', async () => {
    expect(await told(taskiqMessage, 'files')).toMatchObject({
      name: 'taskiq.files:process',
      id: '791582e15f9a48478c8218b6294831bc',
      attempt: 1,
      type: 'on_demand',
      wait: 2_764, // from the header, a 32-bit float, it would be 38 s
      trace: '2124492cc1eeee29d4813f5dbf3cf2de',
      parent: 'a44456d9d24ea362',
      faults: undefined,
      line: { task_name: 'files:process', queue: 'files', attempt: 1 },
    })
    expect(await told(taskiqWithLabels, 'files')).toMatchObject({ priority: 5, parent: '47425ae057db97bb' })
  })

  it('of TaskIQ that was retried, scheduled, delayed', async () => {
    const retried = await told(changed(taskiqMessage, { _retries: '2' }), 'files')
    expect(retried).toMatchObject({ attempt: 3, faults: undefined })
    expect(retried.wait).toBeUndefined()
    expect(await told(changed(taskiqMessage, { schedule_id: 'nightly' }), 'files')).toMatchObject({ type: 'cron' })
    expect(await told(changed(taskiqMessage, { delay: '2' }), 'files')).toMatchObject({ wait: 764 })
  })

  it('of Celery: name, id and attempt from its headers; a wait it does not know', async () => {
    const first = await told(celeryMessage, 'celery')
    expect(first).toMatchObject({
      name: 'taskiq.tasks.process_file',
      id: '5b5dbf67-47a8-471a-8a44-0a1e6a77a1d6',
      attempt: 1,
      type: 'on_demand',
      trace: '0af7651916cd43dd8448eb211c80319c',
      parent: 'b7ad6b7169203331',
      faults: undefined,
    })
    expect(first.wait).toBeUndefined()
    expect(await told(changed(celeryMessage, { retries: 3 }), 'celery')).toMatchObject({ attempt: 4 })
  })

  it('of Celery with protocol 1: what a plain message says', async () => {
    const { traceparent } = celeryMessage.properties.headers ?? {}
    const plain = { ...celeryMessage, properties: { ...celeryMessage.properties, headers: { traceparent } } }
    expect(await told(plain, 'celery')).toMatchObject({
      name: 'taskiq.celery',
      id: '5b5dbf67-47a8-471a-8a44-0a1e6a77a1d6',
      parent: 'b7ad6b7169203331',
    })
  })

  it('of pika: the type property names it, odd headers are no fault', async () => {
    expect(await told(pikaMessage, 'files')).toMatchObject({
      name: 'taskiq.process_file',
      id: '2b50bd98-c47a-4d5f-9471-a9f9350f3f09',
      attempt: 1,
      type: 'on_demand',
      wait: 3_750_000,
      priority: 3,
      trace: '0af7651916cd43dd8448eb211c80319c',
      parent: 'b7ad6b7169203331',
      faults: undefined,
    })
  })

  it('arrives over the broker as it was recorded', async () => {
    vi.useRealTimers()
    const { spans, t, faults } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    await amqp(t).consume(channel, queue, () => {})
    for (const { properties, content } of [taskiqMessage, celeryMessage, pikaMessage]) {
      const bytes = Buffer.from(content.$base64, 'base64')
      const raw = revived(properties) as Options.Publish
      channel.sendToQueue(queue, bytes, raw)
    }
    await spans.waitFor('taskiq.process_file')
    expect(spans.spans.map(({ name, parentSpanId }) => [name, parentSpanId])).toEqual([
      ['taskiq.files:process', 'a44456d9d24ea362'],
      ['taskiq.tasks.process_file', 'b7ad6b7169203331'],
      ['taskiq.process_file', 'b7ad6b7169203331'],
    ])
    expect(await faults()).toBe(0)
  })
})

describe('attempts and waits', () => {
  const plain = (properties: Record<string, unknown>, headers: Record<string, unknown> = {}, redelivered = false) => ({
    fields: { consumerTag: 'c', deliveryTag: 1, redelivered, exchange: '', routingKey: 'work' },
    properties: { ...properties, headers },
    content: Buffer.from('{}'),
  })
  const death = (queue: string, count: number, reason: string) => ({ queue, count, reason, exchange: '' })

  it.each([
    ['the first delivery', {}, false, 1],
    ['a redelivery', {}, true, 2],
    ['x-death of this queue', { 'x-death': [death('delay', 2, 'expired'), death('work', 2, 'rejected')] }, false, 3],
    ['x-death of other queues', { 'x-death': [death('delay', 2, 'rejected')] }, false, 1],
    ['x-death of this queue without having run', { 'x-death': [death('work', 2, 'expired')] }, false, 1],
    ['x-delivery-count over x-death', { 'x-delivery-count': 4, 'x-death': [death('work', 1, 'rejected')] }, true, 5],
    ['retries over x-delivery-count', { retries: 1, 'x-delivery-count': 4 }, true, 2],
    ['_retries over retries', { _retries: '0', retries: 6 }, true, 1],
    ['counts that are none', { _retries: 'many', retries: -1, 'x-delivery-count': 1.5, 'x-death': 'x' }, false, 1],
  ])('%s', async (_, headers, redelivered, attempt) => {
    expect(await told(plain({}, headers, redelivered), 'work')).toMatchObject({ attempt })
  })

  it.each([
    ['whole seconds', { timestamp: NOW / 1000 - 5 }, {}, false, 5_000],
    ['milliseconds by mistake', { timestamp: NOW - 5_000 }, {}, false, 5_000],
    ['a clock that is ahead', { timestamp: NOW / 1000 + 5 }, {}, false, 0],
    ['a deliberate delay', { timestamp: NOW / 1000 - 5 }, { 'x-delay': -4_000 }, false, 1_000],
    ['no timestamp', {}, {}, false, undefined],
    ['a later run', { timestamp: NOW / 1000 - 5 }, {}, true, undefined],
    ['dead-lettered from elsewhere', { timestamp: 1 }, { 'x-death': [death('other', 1, 'expired')] }, false, undefined],
  ])('%s', async (_, properties, headers, redelivered, wait) => {
    expect((await told(plain(properties, headers, redelivered), 'work')).wait).toBe(wait)
  })

  it('ids: task_id, messageId, correlationId', async () => {
    const properties = { messageId: 'm', correlationId: 'c' }
    expect(await told(plain(properties, { task_id: 't', id: 'not celery' }), 'work')).toMatchObject({ id: 't' })
    expect(await told(plain(properties, { id: 'not celery' }), 'work')).toMatchObject({ id: 'm' })
    expect(await told(plain({ correlationId: 'c' }), 'work')).toMatchObject({ id: 'c' })
  })

  it('schedules: by ISO time or by milliseconds; without an id still cron', async () => {
    const time = new Date(NOW - 1_500).toISOString()
    for (const schedule_time of [time, NOW - 1_500]) {
      const headers = { task_type: 'cron', schedule_id: 'nightly', schedule_time }
      expect(await told(plain({}, headers), 'work')).toMatchObject({ type: 'cron', line: { schedule_id: 'nightly' } })
    }
    expect(await told(plain({}, { task_type: 'cron' }), 'work')).toMatchObject({ type: 'cron' })
  })
})

describe('taskiq()', () => {
  // No TaskIQ is to be had here: its messages are checked against recorded bytes of real ones.
  const within = <T>(traceparent: string, fn: () => T): T => {
    const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-')
    const parent = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
    return context.with(trace.setSpanContext(ROOT_CONTEXT, parent), fn)
  }

  it.each([
    [
      taskiqMessage,
      { args: [7], kwargs: { fmt: 'json' }, labels: { retry_on_error: 'True', max_retries: 3 } },
      { retry_on_error: true, max_retries: 3 },
    ],
    [
      taskiqWithLabels,
      { args: [8], kwargs: {} },
      {
        retry_on_error: true,
        max_retries: 3,
        priority: 5,
        tenant: 'acme',
        flag: true,
        ratio: 0.5,
        blob: new Uint8Array(Buffer.from('x')),
      },
    ],
  ])('makes the body and the headers of the recorded message %#', async (recorded, call, labels) => {
    await record()
    const { body_json_for_reading: body, properties } = recorded
    const headers = properties.headers as Record<string, string>
    vi.setSystemTime(Math.round((body as { labels: { _taskiq_queue_time: number } }).labels._taskiq_queue_time * 1000))
    const shaped = within(headers.traceparent as string, () => {
      const message = taskiq('files:process', { ...call, labels, id: headers.task_id })
      return { content: message.content, options: message.options }
    })

    const ours = JSON.parse(shaped.content.toString()) as typeof body
    expect(Object.keys(ours)).toEqual(Object.keys(body))
    const time = Number((ours as { labels: Record<string, unknown> }).labels._taskiq_queue_time)
    expect(ours).toEqual({ ...body, labels: { ...(body.labels as object), _taskiq_queue_time: time } })
    expect(time).toBe(Math.round(Number((body.labels as Record<string, unknown>)._taskiq_queue_time) * 1000) / 1000)
    const { _taskiq_queue_time: ourTime, ...ourHeaders } = shaped.options.headers as Record<string, unknown>
    const { _taskiq_queue_time: theirTime, ...theirHeaders } = headers
    expect(ourHeaders).toEqual(theirHeaders)
    expect(Math.fround(ourTime as number)).toBe(theirTime) // theirs is cut to 32 bits on the wire
    expect(shaped.options).toMatchObject({ deliveryMode: 2, priority: properties.priority })
    expect(shaped.options.messageId).toMatch(/^[0-9a-f]{32}$/)
  })

  it('carries the send span in headers and body alike, and comes back as a TaskIQ task', async () => {
    vi.useRealTimers()
    const { spans, t } = await record()
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const { consume, publish, sendToQueue } = amqp(t)
    const message = taskiq('files:process', { args: [7], labels: { tenant: 'acme' } })
    publish(channel, '', queue, message, { persistent: false, headers: { extra: 1 } })
    const [raw] = await receive(queue, 1)
    const send = await spans.waitFor(`send ${queue}`)
    expect(send.attributes).toMatchObject({
      'taskiq.task.name': 'files:process',
      'messaging.message.id': message.id,
    })
    const traceparent = `00-${send.traceId}-${send.spanId}-01`
    expect(raw?.properties).toMatchObject({
      deliveryMode: 1,
      headers: { task_id: message.id, task_name: 'files:process', tenant: 'acme', extra: 1, traceparent },
    })
    expect(JSON.parse(String(raw?.content))).toMatchObject({
      task_id: message.id,
      labels: { tenant: 'acme', traceparent },
      labels_types: { tenant: 3 },
    })

    const got = latch<ConsumeMessage>()
    await consume(channel, queue, (message) => got.open(message))
    sendToQueue(channel, queue, taskiq('files:process', { schedule: 'nightly' }))
    await got.promise
    const task = await spans.waitFor('taskiq.files:process')
    expect(task.attributes).toMatchObject({ task_type: 'cron', 'taskiq.schedule.id': 'nightly' })
    expect(task.attributes['taskiq.wait_ms']).toBeLessThan(5_000)
    expect(task.links.map(({ spanId }) => spanId)).toEqual([spans.named(`send ${queue}`)[1]?.spanId])
  })

  it('refuses what a Python worker could not read', () => {
    expect(() => taskiq('')).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(() => taskiq('x', { lables: {} } as never)).toThrow(expect.objectContaining({ code: 'UNKNOWN_OPTION' }))
    expect(() => taskiq('x', { labels: { a: {} as never } })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION' }),
    )
    expect(() => taskiq('x', { args: [1n] })).toThrow(TypeError)
    expect(taskiq('x', { labels: { big: 12345678901234567890n, huge: 1e21 } }).options.headers).toMatchObject({
      big: '12345678901234567890',
      huge: '1000000000000000000000',
    })
  })
})

/** `$base64` back to bytes. */
function revived(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(revived)
  if ('$base64' in value) return Buffer.from(String(value.$base64), 'base64')
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, revived(item)]))
}
