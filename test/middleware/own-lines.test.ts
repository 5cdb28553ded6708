// Lines that take the short way to the stream say what pino would have said, and whatever the user told pino still holds.
import { type LoggerOptions, pino } from 'pino'
import { compose, type TaskFields } from 'taskspan'
import { logger, logging, pinoOptions } from 'taskspan/logging'
import { recordSpans } from 'taskspan/testing'
import { tracing } from 'taskspan/tracing'
import { describe, expect, it } from 'vitest'
import { runner } from '../support/run.ts'

const swallowed = { settle: () => {} }

async function linesOf(fields: Partial<TaskFields>, options: LoggerOptions, redact?: string[]): Promise<string[]> {
  const lines: string[] = []
  const destination = { write: (line: string) => lines.push(line) } as unknown as NodeJS.WritableStream
  const given = logger({ level: 'debug', timestamp: false, ...options }, destination)
  const correlate = (): object => ({ request_id: 'r "1"', token: 'secret', url: 'amqp://me:secret@host/' })
  const run = runner(compose(tracing(), logging({ logger: given, redact, correlate: correlate as never })), swallowed)
  await run(fields, () => {})
  return lines.map((line) =>
    line.replace(/"span_id":"\w+"/, '"span_id":"…"').replace(/"duration_ms":[\d.]+/, '"duration_ms":0'),
  )
}

// pino's own way: a hook that changes nothing, but has to be asked.
const asked: LoggerOptions = {
  hooks: {
    logMethod(args, method) {
      method.apply(this, args)
    },
  },
}

const carrier = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }

describe('a line that takes the short way', () => {
  it.each<[string, Partial<TaskFields>]>([
    ['a plain task', { id: '7', carrier }],
    ['all that is known', { id: '7', carrier, attempt: 2, maxAttempts: 5, priority: 3, waitMs: 120.5 }],
    ['a schedule', { id: '7', carrier, schedule: { id: 'nightly "1"' } }],
    ['a lost attempt', { id: '7', carrier, lost: 1 }],
    ['names to be escaped', { name: 'render "quickly"\n\u0000', queue: 'c\\ips é 🎬', carrier }],
    ['an id to be escaped', { id: '"}\n{"level":"error', carrier }],
    ['credentials in an id', { id: 'redis://user:secret@host/1', queue: 'amqp://a:b@c', carrier }],
    ['a long id', { id: 'x'.repeat(5_000), carrier }],
    ['numbers that are none', { id: '7', carrier, waitMs: Number.NaN, priority: Number.POSITIVE_INFINITY }],
  ])('is, to the letter, what pino writes: %s', async (_, fields) => {
    await using _spans = recordSpans()
    const lines = await linesOf(fields, {})
    expect(lines).toEqual(await linesOf(fields, asked))
    expect(lines.length).toBeGreaterThanOrEqual(2)
    expect(lines.join('')).not.toContain('secret')
  })

  it.each<[string, LoggerOptions, object]>([
    ['a formatter', { formatters: { log: (line) => ({ line }) } }, { line: { task_id: '7' } }],
    ['a serializer', { serializers: { task_id: (id) => `#${id}` } }, { task_id: '#7' }],
    ['redaction', { redact: ['task_id'] }, { task_id: '[Redacted]' }],
    ['a nested key', { nestedKey: 'task' }, { task: { task_id: '7' } }],
    ['a mixin', { mixin: () => ({ host: 'h1' }) }, { task_id: '7', host: 'h1' }],
    ['a message prefix', { msgPrefix: 'w1 ' }, { message: 'w1 task.succeeded' }],
    ['another message key', { messageKey: 'event' }, { event: 'task.succeeded' }],
    ['base fields', { base: { host: 'h1' } }, { host: 'h1', task_id: '7' }],
  ])('leaves to pino what the user has told it: %s', async (_, options, expected) => {
    const lines = await linesOf({ id: '7' }, options)
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject(expected)
  })

  it('redacts a field of ours when asked', async () => {
    const lines = await linesOf({ id: '7' }, {}, ['task_id'])
    expect(lines.map((line) => JSON.parse(line).task_id)).toEqual(['[REDACTED]', '[REDACTED]'])
  })

  it('keeps the envelope of a pino of the user', async () => {
    const lines: string[] = []
    const given = pino({ name: 'shop' }, { write: (line) => lines.push(line) })
    await runner(logging({ logger: given }), swallowed)({ id: '7' }, () => {})
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ level: 30, name: 'shop', pid: process.pid, task_id: '7', msg: 'task.succeeded' }),
    ])
  })

  it('gives each line to streams that ask for more than text', async () => {
    const seen: unknown[] = []
    const stream = { [Symbol.for('pino.metadata')]: true, write: (line: string) => seen.push(line), lastLevel: 0 }
    const given = pino(pinoOptions(), stream)
    await runner(logging({ logger: given }), swallowed)({ id: '7' }, () => {})
    expect([seen.length, stream.lastLevel]).toEqual([1, 30])
  })

  it('takes its time stamp from the clock, across seconds', async () => {
    const lines: string[] = []
    const run = runner(
      logging({ logger: logger({ level: 'info' }, { write: (line: string) => lines.push(line) } as never) }),
      swallowed,
    )
    for (let n = 0; n < 3; n++) {
      const before = Date.now()
      await run({ id: '7' }, () => {})
      const { timestamp } = JSON.parse(lines[n] ?? '')
      expect(new Date(timestamp).toISOString()).toBe(timestamp)
      expect(Date.parse(timestamp)).toBeGreaterThanOrEqual(before)
      expect(Date.parse(timestamp)).toBeLessThanOrEqual(Date.now())
    }
  })
})
