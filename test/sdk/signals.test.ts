// SIGTERM in the middle of work, in real processes: no finished task's span is lost, and it ends in time.
import { type ConnectionOptions, Queue } from 'bullmq'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bullmqPrefix, redisConnection } from '../support/redis.ts'
import { type Child, child, type Line } from './child.ts'
import { blackHole, receiver, text } from './receiver.ts'

let count = 0

async function working(
  endpoint: string,
  names: readonly string[],
  options: { readonly graceMs: number; readonly flushMs: number; readonly stubborn?: boolean },
): Promise<Child> {
  const connection = redisConnection() as ConnectionOptions
  const prefix = bullmqPrefix()
  const name = `render-${++count}`
  const queue = new Queue(name, { connection, prefix })
  onTestFinished(async () => void (await queue.close()))
  // The last ones are long: however late the signal is sent on a busy machine, it comes in the middle.
  await queue.addBulk(names.map((job, n) => ({ name: job, data: { ms: n < 8 ? 100 : 1_500 } })))
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, LOG_LEVEL: 'debug' }
  return child('worker-process.ts', { queue: name, connection, prefix, ...options }, env)
}

/** What close() may take at most, a second for what still holds the process, and one for a busy machine. */
const inTime = ({ graceMs, flushMs }: { graceMs: number; flushMs: number }): number => graceMs + flushMs + 2_000

const of = (lines: readonly Line[], message: string): Line[] => lines.filter((line) => line.message === message)
const twenty = Array.from({ length: 20 }, () => 'render_clip')

async function terminated(running: Child, succeeded: number): Promise<{ code: number | null; ms: number }> {
  await running.until((lines) => of(lines, 'task.succeeded').length >= succeeded)
  const before = performance.now()
  running.process.kill('SIGTERM')
  const { code } = await running.ended
  return { code, ms: performance.now() - before }
}

describe('SIGTERM in the middle of 20 tasks', { timeout: 40_000 }, () => {
  const limits = { graceMs: 5_000, flushMs: 1_500 }

  it('loses no finished task’s span, takes no more work, and says what it does', async () => {
    const backend = await receiver()
    onTestFinished(backend.close)
    const running = await working(backend.url, twenty, limits)
    const { code, ms } = await terminated(running, 7)

    const finished = of(running.lines, 'task.succeeded').map((line) => line.task_id)
    const sent = backend.spans().flatMap((span) => text(span.attributes, 'messaging.message.id') ?? [])
    expect(finished.length).toBeGreaterThanOrEqual(7)
    expect(finished.length).toBeLessThan(20)
    expect(sent.sort()).toEqual(finished.sort())
    expect(code).toBe(0)
    expect(ms).toBeLessThan(inTime(limits))

    const lifecycle = running.lines.map(({ message }) => message).filter((message) => message.startsWith('worker.'))
    expect(lifecycle).toEqual(['worker.starting', 'worker.started', 'worker.draining', 'worker.stopped'])
    expect(of(running.lines, 'worker.started')[0]).toMatchObject({ worker: 'render', checks: { redis: 'ok' } })
    expect(of(running.lines, 'worker.stopped')[0]).toMatchObject({ level: 'info', tasks: 'drained', spans_failed: 0 })
    // Those that ran when it came were let end; BullMQ may have been given one more for each of its four places.
    const after = running.lines.findIndex(({ message }) => message === 'worker.draining')
    expect(of(running.lines.slice(after), 'task.started').length).toBeLessThanOrEqual(4)
    expect(of(running.lines, 'task.started')).toHaveLength(finished.length)
  })

  it.each([
    ['refuses', async () => ({ url: 'http://127.0.0.1:9', close: () => {} })],
    ['hangs', blackHole],
    ['answers 500', () => receiver(500)],
  ])('ends in time when the backend %s, and says that spans were lost', async (_, open) => {
    const backend = await open()
    onTestFinished(backend.close)
    const running = await working(backend.url, twenty, limits)
    const { code, ms } = await terminated(running, 7)
    expect(code).toBe(0)
    expect(ms).toBeLessThan(inTime(limits))
    expect(of(running.lines, 'worker.stopped')[0]).toMatchObject({ level: 'warning', tasks: 'drained' })
    expect(running.stderr()).toMatch(/spans do not reach|not every span reached/)
  })
})

describe('a task that takes longer than its grace', { timeout: 40_000 }, () => {
  it('hears its abort signal, and its span still arrives', async () => {
    const backend = await receiver()
    onTestFinished(backend.close)
    const limits = { graceMs: 200, flushMs: 4_000 }
    const running = await working(backend.url, ['render_clip', 'endless'], limits)
    const { code, ms } = await terminated(running, 1)
    expect(of(running.lines, 'task.cancelled')).toHaveLength(1)
    expect(
      backend
        .spans()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['taskiq.endless', 'taskiq.render_clip'])
    expect(of(running.lines, 'worker.stopped')[0]).toMatchObject({ level: 'warning', tasks: 'aborted' })
    expect(code).toBe(0)
    expect(ms).toBeLessThan(inTime(limits))
  })

  it('does not keep the process when it hears nothing', async () => {
    const backend = await receiver()
    onTestFinished(backend.close)
    const limits = { graceMs: 200, flushMs: 1_000, stubborn: true }
    const running = await working(backend.url, ['render_clip', 'endless'], limits)
    const { ms } = await terminated(running, 1)
    expect(backend.spans().map(({ name }) => name)).toEqual(['taskiq.render_clip'])
    expect(of(running.lines, 'worker.stopped')[0]).toMatchObject({ tasks: 'abandoned' })
    expect(ms).toBeLessThan(inTime(limits))
  })

  it('loses the rest of its grace by a second signal', async () => {
    const backend = await receiver()
    onTestFinished(backend.close)
    const running = await working(backend.url, ['render_clip', 'endless'], { graceMs: 60_000, flushMs: 4_000 })
    const ended = terminated(running, 1)
    await Promise.race([ended, running.until((lines) => of(lines, 'worker.draining').length > 0)])
    const impatient = setInterval(() => running.process.kill('SIGINT'), 300)
    onTestFinished(() => clearInterval(impatient))
    expect((await ended).ms).toBeLessThan(20_000)
    expect(of(running.lines, 'task.cancelled')).toHaveLength(1)
  })
})
