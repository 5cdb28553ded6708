// Row: processes and connections that end, hang or lose their footing. Every task still ends as it would without us.
import { startRabbitMq, startRedis } from '../../../scripts/brokers/index.ts'
import { bullmqLane } from '../bench/bullmq.ts'
import type { Lane } from '../bench/lane.ts'
import { rabbitmqLane } from '../bench/rabbitmq.ts'
import { holds, same } from '../cases/expect.ts'
import { plain } from '../contenders/plain.ts'
import type { Bench, BrokerUrls, Case, ContenderName, Fault } from '../fault.ts'
import { type Options, WorkerProcess } from '../processes/process.ts'
import type { Log, Report } from '../processes/worker.ts'

// The check for stalled jobs is of all workers of a queue together: this one leaves it to the others.
const AT_RISK = { lockDuration: 500, skipStalledCheck: true, skipLockRenewal: true }
const LOOKS_AFTER_OTHERS = { lockDuration: 30_000, stalledInterval: 100 }
/** Those that say what becomes of a message whose channel is gone, or that write lines. */
const OURS: readonly ContenderName[] = ['taskspan', 'careless']

const started = (bench: Bench, { queue }: Lane, options?: Options): Promise<WorkerProcess> =>
  WorkerProcess.start(bench, queue, options)

/** Ended on the broker, by this process where the broker does not tell. */
async function done({ place }: Bench, lane: Lane, by: WorkerProcess, id: string, end = 'done'): Promise<void> {
  if (place === 'BullMQ') same(`${id} ended`, (await lane.ended(id)).end, end)
  else await by.finished(id)
}

/** It still takes tasks, and ends them. */
async function goesOn(bench: Bench, lane: Lane, by: WorkerProcess, id = 'after'): Promise<void> {
  await lane.put({ id })
  await done(bench, lane, by, id)
}

/** Nothing is left on RabbitMQ, or comes back, once the last process has gone. */
async function nothingLeft({ place }: Bench, lane: Lane, last: WorkerProcess): Promise<void> {
  if (place !== 'RabbitMQ') return
  await last.kill('SIGTERM')
  for (let left = 50; (await lane.count()) > 0; left--) {
    holds(`${await lane.count()} messages came back`, left > 0)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function terminated(bench: Bench): Promise<void> {
  const lane = await bench.openPlain()
  const ids = Array.from({ length: 20 }, (_, n) => `t-${n}`)
  await lane.put(...ids.map((id) => ({ id, name: 'brief' })))
  const first = await started(bench, lane, { worker: { lockDuration: 1_000, skipStalledCheck: true } })
  await first.took('t-5')
  const began = performance.now()
  same('it ended by', await first.kill('SIGTERM'), '0')
  holds('within 5 s', performance.now() - began < 5_000)
  const second = await started(bench, lane, { worker: LOOKS_AFTER_OTHERS })
  for (const id of ids) if (!first.taken.has(id)) await done(bench, lane, second, id)
  if (bench.place === 'BullMQ') for (const id of ids) same(`${id} ended`, (await lane.ended(id)).end, 'done')
  for (const id of ids) same(`runs of ${id}`, (first.taken.get(id) ?? 0) + (second.taken.get(id) ?? 0), 1)
  await nothingLeft(bench, lane, second)
}

/** Takes a task and is killed, so many times; then another process looks after it. */
async function killed(bench: Bench, times: number): Promise<{ readonly lane: Lane; readonly last: WorkerProcess }> {
  const lane = await bench.openPlain()
  await lane.put({ id: 'one', name: 'hold', attempts: 2 })
  for (let n = 0; n < times; n++) {
    // A second one must itself find what the first one lost.
    const worker = n === 0 ? AT_RISK : { ...LOOKS_AFTER_OTHERS, lockDuration: 500 }
    const doomed = await started(bench, lane, { worker })
    await doomed.took('one')
    await doomed.kill('SIGKILL')
  }
  const last = await started(bench, lane, { worker: LOOKS_AFTER_OTHERS })
  return { lane, last }
}

async function recovers(bench: Bench, times: number): Promise<void> {
  const { lane, last } = await killed(bench, times)
  if (bench.place === 'BullMQ' && times === 2) {
    // BullMQ itself gives up what stalls twice.
    same('it ended', (await lane.ended('one')).end, 'given up')
    same('runs', last.taken.get('one') ?? 0, 0)
  } else {
    await last.took('one')
    last.tell('release')
    await done(bench, lane, last, 'one')
    same('runs', last.taken.get('one'), 1)
  }
  await goesOn(bench, lane, last)
  await nothingLeft(bench, lane, last)
}

/** Whoever looks at the spans of the process that recovered the task sees that an attempt was lost. */
async function told(bench: Bench, times: number): Promise<void> {
  const { lane, last } = await killed(bench, times)
  const gaveUp = bench.place === 'BullMQ' && times === 2
  if (!gaveUp) {
    await last.took('one')
    last.tell('release')
  }
  await done(bench, lane, last, 'one', gaveUp ? 'given up' : 'done')
  await goesOn(bench, lane, last)
  const { spans } = await last.report()
  holds(`nothing in ${spans.length} spans says so`, spans.some(bench.place === 'BullMQ' ? isError : isRepeated))
}

type Span = Report['spans'][number]
const isError = ({ status }: Span): boolean => status === 'error'
const isRepeated = ({ attributes }: Span): boolean =>
  Object.entries(attributes).some(
    ([key, value]) => /attempt|retry|redeliver/.test(key) && (value === true || Number(value) === 2),
  )

/** A broker of the case's own goes and comes back while a task runs. */
async function brokerRestarted(bench: Bench): Promise<void> {
  const isRedis = bench.place === 'BullMQ'
  const broker = isRedis ? await startRedis({ persistent: true }) : await startRabbitMq()
  bench.after(() => broker.stop())
  const brokers: BrokerUrls = { ...bench.brokers, ...(isRedis ? { redis: broker.url } : { amqp: broker.url }) }
  const before = await (isRedis ? bullmqLane : rabbitmqLane)(brokers, plain)
  bench.after(() => before.close())
  const worker = await started(bench, before, { brokers })
  await before.put({ id: 'one', name: 'hold' })
  await worker.took('one')
  await broker.kill()
  await broker.restart()
  worker.tell('release')
  await worker.finished('one')
  if (isRedis) return goesOn({ ...bench, brokers }, before, worker)
  // A lane's queue goes with its broker; what its process does when it cannot consume is to try again.
  const admin = await plain.connect(brokers.amqp)
  bench.after(() => admin.close())
  const channel = await admin.createConfirmChannel()
  await channel.assertQueue(before.queue, { durable: false, autoDelete: false })
  channel.sendToQueue(before.queue, Buffer.from('{}'), { messageId: 'after', type: 'render' })
  await worker.finished('after')
}

/** Closed by its own process while a task runs: the broker gives the task to whoever comes next. */
const closed = (what: 'channel' | 'connection') => async (bench: Bench) => {
  const lane = await bench.openPlain()
  const worker = await started(bench, lane)
  await lane.put({ id: 'one', name: 'hold' })
  await worker.took('one')
  worker.tell(`close the ${what}`)
  await worker.back()
  worker.tell('release')
  await goesOn(bench, lane, worker)
  for (let left = 200; (worker.taken.get('one') ?? 0) < 2; left--) {
    holds('it was not delivered again', left > 0)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  worker.tell('release')
  if (bench.contender === 'taskspan') {
    const { metrics } = await worker.report()
    for (const event of ['channel_closed', 'settle_failed'])
      holds(`${event} is not counted`, metrics.includes(`event="${event}"`))
  }
  await nothingLeft(bench, lane, worker)
}

async function cancelled(bench: Bench): Promise<void> {
  const lane = await bench.openPlain()
  const worker = await started(bench, lane)
  await lane.put({ id: 'one', name: 'hold' })
  await worker.took('one')
  const admin = await plain.connect(bench.brokers.amqp)
  bench.after(() => admin.close())
  await (await admin.createChannel()).deleteQueue(lane.queue)
  worker.tell('release')
  await worker.finished('one')
  const { metrics } = await worker.report()
  if (bench.contender !== 'taskspan') return
  holds('it is not counted', metrics.includes('event="consumer_cancelled"'))
}

/** A worker that is not heard of for longer than its locks last; meanwhile another one takes its task. */
const outOfTouch = (name: (bench: Bench) => string) => async (bench: Bench) => {
  const lane = await bench.openPlain()
  const silent = await started(bench, lane, { worker: AT_RISK })
  await lane.put({ id: 'one', name: name(bench) })
  await silent.took('one')
  const other = await started(bench, lane, { worker: LOOKS_AFTER_OTHERS })
  await other.took('one')
  other.tell('release')
  await done(bench, lane, other, 'one')
  silent.tell('release')
  await silent.finished('one')
  same('it ended', (await lane.ended('one')).end, 'done')
  await other.kill('SIGKILL')
  await goesOn(bench, lane, silent)
}

async function blocked(bench: Bench): Promise<void> {
  const lane = await bench.openPlain()
  const worker = await started(bench, lane)
  await lane.put({ id: 'one', name: `block-${bench.form.name === 'short' ? 500 : 5_000}` })
  await worker.finished('one')
  await goesOn(bench, lane, worker)
  await nothingLeft(bench, lane, worker)
  same('runs', worker.taken.get('one'), 1)
}

const logging = (log: Log, stdout?: Options['stdout']) => async (bench: Bench) => {
  const lane = await bench.openPlain()
  const worker = await started(bench, lane, { log, ...(stdout && { stdout }) })
  const ids = Array.from({ length: 20 }, (_, n) => `t-${n}`)
  await lane.put(...ids.map((id) => ({ id, name: 'brief' })))
  for (const id of ids) await done(bench, lane, worker, id)
  // What dies later than the line was written.
  await new Promise((resolve) => setTimeout(resolve, 200))
  await goesOn(bench, lane, worker)
  for (const id of ids) same(`runs of ${id}`, worker.taken.get(id), 1)
  await nothingLeft(bench, lane, worker)
}

interface Kind extends Omit<Case, 'patienceMs'> {
  /** Only there. */
  readonly only?: 'BullMQ' | 'RabbitMQ'
  /** Where the short form tries it. */
  readonly short?: 'BullMQ' | 'RabbitMQ'
}

const KINDS: readonly Kind[] = [
  { title: 'SIGTERM in the middle of 20 tasks', run: terminated, short: 'BullMQ' },
  { title: 'SIGKILL, once', run: (bench) => recovers(bench, 1), short: 'RabbitMQ' },
  { title: 'SIGKILL, once: the lost attempt is told', run: (bench) => told(bench, 1), short: 'BullMQ' },
  { title: 'SIGKILL, twice', run: (bench) => recovers(bench, 2) },
  { title: 'SIGKILL, twice: the lost attempts are told', run: (bench) => told(bench, 2) },
  { title: 'Redis restarts while a task runs', run: brokerRestarted, only: 'BullMQ' },
  { title: 'RabbitMQ restarts while a task runs', run: brokerRestarted, only: 'RabbitMQ', contenders: OURS },
  {
    title: 'the channel is closed while a task runs',
    ...{ run: closed('channel'), only: 'RabbitMQ', contenders: OURS, short: 'RabbitMQ' },
  },
  {
    title: 'the connection is closed while a task runs',
    ...{ run: closed('connection'), only: 'RabbitMQ', contenders: OURS },
  },
  { title: 'the consumer is cancelled while a task runs', run: cancelled, only: 'RabbitMQ', short: 'RabbitMQ' },
  { title: 'the lock of a task is lost', run: outOfTouch(() => 'hold'), only: 'BullMQ' },
  {
    title: 'the event loop is blocked for longer than a lock lasts',
    run: outOfTouch(({ form }) => `block-${form.name === 'short' ? 3_000 : 5_000}`),
    only: 'BullMQ',
  },
  { title: 'the event loop is blocked for 5 s', run: blocked },
  { title: 'stdout is closed', run: logging('stdout', 'closed'), contenders: OURS, short: 'RabbitMQ' },
  { title: 'the disk under stdout is full', run: logging('stdout', 'full'), contenders: OURS, short: 'BullMQ' },
  { title: "the disk under pino's file is full", run: logging('a full disk'), contenders: OURS },
]

export const processes: Fault = {
  name: 'processes and connections that end',
  promise:
    'each task ends as often and as well as without instrumentation, the workers that are left go on, and a lost attempt is told',
  places: ['BullMQ', 'RabbitMQ'],
  cases: (form, place) =>
    KINDS.filter(({ only = place, short }) => only === place && (form.name === 'long' || short === place)).map(
      ({ only: _, short: __, ...one }): Case => ({ ...one, patienceMs: form.name === 'short' ? 40_000 : 60_000 }),
    ),
}
