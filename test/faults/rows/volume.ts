// Row: volume. A million tasks, endless names and errors, tasks that hang, scrapes without pause: no more is kept, or spent.
import { holds, same } from '../cases/expect.ts'
import { heapUsed, megabytes } from '../cases/heap.ts'
import { heard, type Mill, mill, queueUnder, type Work } from '../cases/mill.ts'
import { CONTENDERS } from '../contenders/index.ts'
import type { Bench, Case, ContenderName, Fault } from '../fault.ts'

const WITH_METRICS: readonly ContenderName[] = ['taskspan', 'careless']
/** What one metric may have of one queue whose tasks differ in name or error alone. */
const MAX_SERIES = 1_002

const render = (): string => 'render'
const done = (): string => 'rendered'

/** After all of them no more than a tenth above what was in use after the first. */
async function heapStays(bench: Bench, work: Work, count: number): Promise<Mill> {
  const stones = await mill(bench, work)
  const first = Math.min(10_000, count / 2)
  await stones.grind(first)
  // Whatever a scrape keeps is there before it is looked at.
  await stones.scrape?.()
  const before = await heapUsed()
  await stones.grind(count - first)
  const size = (await stones.scrape?.())?.length
  const after = await heapUsed()
  say(`${count} tasks: ${megabytes(before)}, then ${megabytes(after)}; a scrape of ${size} characters`)
  holds(`${megabytes(before)} became ${megabytes(after)}`, after <= before * 1.1)
  return stones
}

async function seriesStay({ scrape }: Mill): Promise<void> {
  for (const [name, count] of await seriesOf(scrape)) holds(`${name} has ${count} series`, count <= MAX_SERIES)
}

async function seriesOf(scrape: Mill['scrape']): Promise<Map<string, number>> {
  const series = new Map<string, number>()
  for (const line of ((await scrape?.()) ?? '').split('\n')) {
    const [name] = /^\w+(?=\{)/.exec(line) ?? []
    if (name !== undefined && !name.endsWith('_bucket')) series.set(name, (series.get(name) ?? 0) + 1)
  }
  return series
}

/** Told to whoever runs a case by hand. */
const say = (text: string): void => console.log(text)

function numbered(n: number): never {
  throw Object.assign(new Error(`no funds for ${n}`), { name: `NoFunds${n}Error`, code: `E${n}` })
}

async function hanging(bench: Bench, count: number): Promise<void> {
  const hung = count / 10
  let hangs = true
  const stones = await mill(bench, {
    name: render,
    handler: () => (hangs ? new Promise<never>(() => {}) : 'rendered'),
  })
  await stones.grind(hung, hung)
  hangs = false
  await stones.grind(count / 2)
  const before = await heapUsed()
  await stones.grind(count / 2)
  const after = await heapUsed()
  holds(`${megabytes(before)} became ${megabytes(after)}`, after <= before * 1.1)
  if (bench.contender === 'taskspan')
    same('tasks that run', await bench.recorded.metrics.value('taskiq_tasks_in_progress'), hung)
}

/** 500 names on one queue, each with what ends well and what does not. */
async function filled(bench: Bench): Promise<Mill> {
  const stones = await mill(bench, {
    name: (n) => `render_${n % 500}`,
    handler: (n) => (n >= 500 && n < 1_000 ? numbered(n % 50) : 'rendered'),
  })
  await stones.grind(1_500)
  return stones
}

async function scraped(bench: Bench): Promise<void> {
  const { scrape } = await filled(bench)
  // Of the CPU: others may share the machine.
  let bestMs = Number.POSITIVE_INFINITY
  for (let n = 0; n < 10; n++) {
    const began = process.cpuUsage()
    const text = await scrape?.()
    const { user, system } = process.cpuUsage(began)
    bestMs = Math.min(bestMs, (user + system) / 1_000)
    holds('the names are there', text?.includes('render_499') === true)
  }
  say(`a scrape at 500 task names: ${bestMs.toFixed(1)} ms`)
  // Time is judged in the long form alone.
  if (bench.form.name === 'long') holds(`it takes ${bestMs.toFixed(1)} ms`, bestMs < 100)
}

async function storm(bench: Bench, scrapes: number): Promise<void> {
  const { scrape, grind } = await filled(bench)
  const before = await heapUsed()
  const texts = async (): Promise<void> => {
    for (let n = 0; n < scrapes / 10; n++) {
      const text = await scrape?.()
      holds('the names are there', text?.includes('render_499') === true)
    }
  }
  await Promise.all([grind(scrapes * 10), ...Array.from({ length: 10 }, texts)])
  const after = await heapUsed()
  holds(`${megabytes(before)} became ${megabytes(after)}`, after <= before * 1.1)
}

/** Acknowledges so many outstanding messages, the last one first; gives the CPU time of each in microseconds. */
async function backwards(bench: Bench, count: number): Promise<number> {
  const by = CONTENDERS[bench.contender].instrument({}, bench)
  const [, channel, queue] = await queueUnder(bench, by)
  for (let n = 0; n < count; n++) channel.sendToQueue(queue, Buffer.from('{}'), { messageId: String(n) })
  await channel.waitForConfirms()
  const releases: (() => void)[] = []
  let settled = 0
  let told = (): void => {}
  heard(channel, () => {
    settled++
    if (settled === count) told()
  })
  await channel.prefetch(0)
  await new Promise<void>((resolve) => {
    const hold = async (): Promise<void> => {
      const released = new Promise<void>((release) => releases.push(release))
      if (releases.length === count) resolve()
      await released
    }
    void by.consume(channel, queue, hold, () => false)
  })
  const all = new Promise<void>((resolve) => {
    told = resolve
  })
  const began = process.cpuUsage()
  for (const release of releases.reverse()) release()
  await all
  const { user, system } = process.cpuUsage(began)
  same('messages left', (await channel.checkQueue(queue)).messageCount, 0)
  return (user + system) / count
}

async function reversed(bench: Bench): Promise<void> {
  const isShort = bench.form.name === 'short'
  const few = await backwards(bench, isShort ? 200 : 2_000)
  const many = await backwards(bench, isShort ? 1_000 : 10_000)
  say(`an ack in reverse order: ${few.toFixed(1)} us of a few, ${many.toFixed(1)} us of five times as many`)
  if (!isShort) holds(`each costs ${few.toFixed(1)} us of 2,000, ${many.toFixed(1)} us of 10,000`, many < 2 * few)
}

export const volume: Fault = {
  name: 'volume',
  promise:
    'after a million tasks the heap is within 10 % of what it was after the first 10,000, no metric has more than 1,000 series, a scrape at 500 task names takes less than 100 ms, and an ack costs the same in any order',
  places: ['BullMQ', 'RabbitMQ', 'no broker'],
  alone: true,
  cases(form, place): Case[] {
    const isShort = form.name === 'short'
    const patienceMs = isShort ? 30_000 : 600_000
    const most = place === 'no broker' ? 1_000_000 : 30_000
    const all = isShort ? 2_000 : most
    const distinct = isShort ? all : place === 'no broker' ? 20_000 : 30_000
    const names = { name: (n: number) => `render_${n}`, handler: done }
    const cases: Case[] = [
      {
        title: `${distinct.toLocaleString('en')} task names`,
        run: async (bench) => seriesStay(await heapStays(bench, names, distinct)),
      },
      {
        title: `${distinct.toLocaleString('en')} distinct errors`,
        run: async (bench) => seriesStay(await heapStays(bench, { name: render, handler: numbered }, distinct)),
      },
      {
        title: `${all.toLocaleString('en')} tasks`,
        run: async (bench) => void (await heapStays(bench, { name: render, handler: done }, all)),
      },
    ]
    if (place === 'no broker') {
      cases.push(
        {
          title: 'tasks that hang',
          contenders: WITH_METRICS,
          run: (bench) => hanging(bench, isShort ? 1_000 : 100_000),
        },
        { title: 'a scrape at 500 task names on one queue', contenders: WITH_METRICS, run: scraped },
        { title: 'a storm of scrapes', contenders: WITH_METRICS, run: (bench) => storm(bench, isShort ? 10 : 1_000) },
      )
    }
    if (place === 'RabbitMQ') {
      const contenders = ['taskspan', 'instrumentation-amqplib'] as const
      cases.push({ title: 'outstanding messages acked in reverse order', contenders, run: reversed })
    }
    // The short form tries one of a kind.
    const chosen = isShort ? cases.filter((_, n) => n === 0 || (n === 1 && place === 'no broker') || n > 2) : cases
    return chosen.map((one) => ({ ...one, patienceMs }))
  },
}
