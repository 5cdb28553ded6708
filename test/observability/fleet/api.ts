// Who asks for the work: jobs, flows and messages, for as long as the test wants them.
import { connect } from 'amqplib'
import { FlowProducer, Queue } from 'bullmq'
import { amqp } from 'taskspan/amqp'
import { propagation } from 'taskspan/bullmq'
import { watch } from 'taskspan/watch'
import { did, member, on, sleep, tell } from './member.ts'

const { place, t, open } = member('api')
const own = { connection: place.redis, prefix: place.prefix, telemetry: propagation(t) }
const [clips, exports, halted, archive] = ['clips', 'exports', 'halted', 'archive'].map(
  (name) => new Queue(name, own),
) as [Queue, Queue, Queue, Queue]
const flows = new FlowProducer(own)
const channel = await (await connect(place.amqp)).createChannel()
const { sendToQueue } = amqp(t)

async function add(queue: Queue, name: string, data: object = {}, options: object = {}): Promise<void> {
  await queue.add(name, data, options)
  did(`sent ${queue.name} ${name}`)
}

function send(queue: string, type: string, n: number, options: object = {}): void {
  const timestamp = Math.floor(Date.now() / 1_000)
  sendToQueue(channel, queue, Buffer.from(String(n)), { type, timestamp, ...options })
  did(`sent ${queue} ${type}`)
}

/** What nobody takes: it shows in the depths, by state and by priority. */
async function pile(): Promise<void> {
  await halted.pause()
  for (let n = 0; n < 3; n++) await add(halted, 'export_clip')
  for (let n = 0; n < 5; n++) await add(exports, 'export_clip')
  for (const priority of [1, 1, 5]) await add(exports, 'export_clip', {}, { priority })
  await add(exports, 'export_clip', {}, { delay: 3_600_000 })
  await flows.add({ name: 'bundle', queueName: 'exports', children: [{ name: 'export_clip', queueName: 'exports' }] })
  did('sent exports bundle')
  did('sent exports export_clip')
  for (const priority of [0, 5, 5]) send('returns', 'return_order', 1, { priority })
  send('orders', 'hold_order', 1)
  await add(clips, 'hold_clip')
}

const REASONS = ['malformed', 'malformed', 'unknown_task', 'expired', 'other']

async function tick(at: number): Promise<void> {
  const n = at + 1
  // A burst, for the pictures.
  for (let more = 0; more < (at >= 24 && at < 30 ? 12 : 1); more++) await add(clips, 'render_clip', { n })
  if (at % 3 === 0) await add(clips, 'analyse_clip', { n: at / 3 }, { attempts: 2, backoff: 100 })
  if (at % 6 === 1) await add(clips, 'publish_clip', { n }, { attempts: 2, backoff: 100 })
  if (at % 4 === 2) await add(clips, 'import_clip', { reason: REASONS[n % REASONS.length] })
  if (at % 12 === 5) await add(clips, 'export_clip')
  if (at % 18 === 7) await add(clips, 'convert_clip')
  send('orders', 'mail_order', n, { headers: { tier: `tier-${n % 24}` } })
}

const TICKS = 60
const TICK_MS = 250

on('archive', () => add(archive, 'archive_clip'))
on('go', async () => {
  await pile()
  for (let at = 0; at < TICKS; at++) {
    await tick(at)
    await sleep(TICK_MS)
  }
  tell({ sent: true })
})
on('size', async () => {
  const counts = await Promise.all([exports, halted].map((queue) => queue.getJobCounts()))
  tell({ size: { exports: counts[0], halted: counts[1] } })
})
await open(watch({ telemetry: t, intervalMs: 500 }))
