// The demo's BullMQ worker: tasks that work, are retried, fail and are refused, a pipeline, a schedule, and mails to send.
import { setTimeout as work } from 'node:timers/promises'
import { connect } from 'amqplib'
import { type Job, Worker } from 'bullmq'
import { Cron } from 'croner'
import { reject } from 'taskspan'
import { amqp } from 'taskspan/amqp'
import { bullmq } from 'taskspan/bullmq'
import { cron } from 'taskspan/cron'
import { log } from 'taskspan/logging'
import { pipeline } from 'taskspan/pipeline'
import { ext, usage } from 'taskspan/spans'
import { amqpUrl, begin, type Clip, prefix, redisUrl, serveUntilSignal, sometimes } from './process.ts'

class ServiceTimeout extends Error {
  override name = 'ServiceTimeout'
}

class EncoderCrash extends Error {
  override name = 'EncoderCrash'
}

const begun = begin('render')
const { t } = begun
const rabbit = await connect(amqpUrl)
const channel = await rabbit.createChannel()
const { sendToQueue } = amqp(t)

const transcribe = (clip: number): Promise<string> =>
  ext('whisper', 'transcribe', { clip_id: clip }, async () => {
    await work(40 + Math.random() * 200)
    if (sometimes(0.02)) throw new ServiceTimeout('whisper did not answer')
    usage({ gpu_seconds: 0.2 })
    return `words of ${clip}`
  })

const analysis = pipeline<Clip>('analysis', t)
  .step('download', async ({ input }) => work(30 + Math.random() * 60, `clip-${input.clip}.mp4`))
  .step('transcribe', ['download'], ({ input }) => transcribe(input.clip), { retries: 2 })
  .step('detect_cuts', ['download'], async ({ download }) => work(20 + Math.random() * 80, [download.length]))
  .step('apply_cuts', ['transcribe', 'detect_cuts'], async ({ detect_cuts }) => work(30, detect_cuts.length))

const tasks: Record<string, (clip: Clip) => Promise<unknown>> = {
  async render_clip({ clip }) {
    if (sometimes(0.02)) throw reject('malformed', 'the clip has no owner')
    await work(50 + Math.random() * 250)
    if (sometimes(0.05)) throw new EncoderCrash('ffmpeg was killed')
    log().info({ clip, frames: 240 }, 'rendered')
    sendToQueue(channel, 'mail', Buffer.from(JSON.stringify({ clip })), { type: 'mail_owner', persistent: true })
  },
  analyse_clip: (clip) => analysis.run(clip),
}

const instrument = bullmq(t)
const processor = instrument(async (job: Job<Clip>) => {
  const task = tasks[job.name]
  if (task === undefined) throw reject('unknown_task')
  return task(job.data)
})
await channel.assertQueue('mail', { durable: true, deadLetterExchange: '', deadLetterRoutingKey: 'mail.dlq' })
const worker = new Worker<Clip>('render', processor, { connection: { url: redisUrl }, prefix, concurrency: 4 })
worker.on('error', () => {}) // watch() says what is wrong with the broker
instrument.observe(worker)

const tick = cron(t)
const schedule = new Cron(
  '*/10 * * * * *',
  tick('expire_clips', () => work(20)),
)

const broker = { close: () => rabbit.close() } // last: tasks that still run send mails
const stopped = { close: async () => schedule.stop() }
await serveUntilSignal(begun, [worker, stopped], { workers: [worker] }, [broker])
