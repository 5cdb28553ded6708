// Many at once: parents stay right, and settling costs the same for each message in whatever order it happens.
import { setImmediate as turn } from 'node:timers/promises'
import { context, trace } from '@opentelemetry/api'
import { amqp } from 'taskspan/amqp'
import { describe, expect, it } from 'vitest'
import { makeQueue, openChannel, takeAll, tally } from '../../support/amqp.ts'
import { record } from '../../support/record.ts'

describe('1,000 interleaved messages', () => {
  it('with 4 child spans each have 0 wrong parents', async () => {
    const { spans, t, faults } = await record()
    const tracer = trace.getTracer('test')
    const channel = await openChannel()
    const queue = await makeQueue(channel)
    const { consume, publish } = amqp(t)
    const all = tally(1_000)
    const expected = new Map<string, string>()
    const consumer = await consume(
      channel,
      queue,
      async ({ properties }) => {
        const mine = trace.getSpan(context.active())?.spanContext().spanId as string
        expected.set(properties.messageId as string, mine)
        for (let n = 0; n < 4; n++) {
          await turn()
          tracer.startActiveSpan(`child ${properties.messageId}`, (child) => {
            setImmediate(() => child.end())
          })
        }
        await turn()
        all.hit()
      },
      { prefetch: 100 },
    )
    for (let n = 0; n < 1_000; n++) {
      tracer.startActiveSpan(`request ${n}`, (request) => {
        publish(channel, '', queue, Buffer.from('1'), { type: 'job', messageId: String(n) })
        request.end()
      })
    }
    await all.reached
    await consumer.close()
    await turn()

    const tasks = spans.named('taskiq.job')
    expect(tasks).toHaveLength(1_000)
    let wrong = 0
    for (const task of tasks) {
      const id = task.attributes['messaging.message.id'] as string
      const children = task.children.filter(({ name }) => name === `child ${id}`)
      const right =
        expected.get(id) === task.spanId &&
        children.length === 4 &&
        task.children.length === 4 &&
        task.parent?.name === `send ${queue}` &&
        task.parent.parent?.name === `request ${id}`
      if (!right) wrong++
    }
    expect(wrong).toBe(0)
    expect(spans.open).toEqual([])
    expect(await faults()).toBe(0)
  })
})

describe('10,000 outstanding messages', () => {
  it.each([
    ['first to last', (ends: (() => void)[]) => ends],
    ['last to first', (ends: (() => void)[]) => [...ends].reverse()],
    ['in any order', (ends: (() => void)[]) => shuffled(ends)],
  ])('acked %s cost the same for each, and all are acked', async (_, order) => {
    await timesOfAcks(order) // until V8 has compiled what is to be compared
    const times = await timesOfAcks(order)
    const [early, late] = [Math.min(...times.slice(0, 25)), Math.min(...times.slice(75))]
    // Whoever searches what is outstanding needs four times as long at first as at last; we need the same, within 30 %.
    expect(early, `100 took ${early} ms at first and ${late} ms at last`).toBeLessThan(late * 2 + 0.1)
  })
})

// The best of many small parts, at the start and at the end: whatever else the machine does hits only some of them.
async function timesOfAcks(order: (ends: (() => void)[]) => (() => void)[]): Promise<number[]> {
  const count = 10_000
  const channel = await openChannel()
  const admin = await openChannel()
  const queue = await makeQueue(admin)
  const running = tally(count)
  const ends: (() => void)[] = []
  const consumer = await amqp().consume(channel, queue, () => {
    running.hit()
    return new Promise<void>((resolve) => ends.push(resolve))
  })
  for (let n = 0; n < count; n++) admin.sendToQueue(queue, Buffer.from('1'))
  await running.reached
  expect(consumer.running).toBe(count)

  const part = count / 100
  const ordered = order(ends)
  const times: number[] = []
  for (let from = 0; from < count; from += part) {
    const begun = performance.now()
    for (const end of ordered.slice(from, from + part)) end()
    while (consumer.running > count - from - part) await turn()
    times.push(performance.now() - begun)
  }
  await consumer.close()
  await channel.close()
  expect(await takeAll(queue)).toEqual([])
  return times
}

function shuffled<T>(items: T[]): T[] {
  let seed = 42 // the same order in each run
  const next = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed
  }
  return items
    .map((item) => [next(), item] as const)
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item)
}
