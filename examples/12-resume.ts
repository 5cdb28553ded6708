// A pipeline in a BullMQ job that is retried: what was finished is not run again. Run: npx tsx examples/12-resume.ts
// prints: attempt 1 ran: download, transcribe, upload
// prints: attempt 2 ran: upload
// prints: step\.download .*restored
// prints: data is still \{"clip":7\}, progress 100
import { Queue, Worker } from 'bullmq'
import { bullmq, checkpoint, propagation } from 'taskspan/bullmq'
import { pipeline } from 'taskspan/pipeline'
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'
import { redis } from './redis.ts'

const { connection, prefix, release } = await redis()
const sdk = start({ app: 'clips', worker: 'analysis' }) // to OTEL_EXPORTER_OTLP_ENDPOINT, or as waterfalls to this terminal
const t = telemetry()

let ran: string[] = []
const analysis = pipeline<{ clip: number }>('analysis', t)
  .step('download', async ({ input }) => {
    ran.push('download')
    return `/tmp/clip-${input.clip}.mp4` // with a checkpoint an output is plain JSON: a path, not the bytes
  })
  .step('transcribe', ['download'], async ({ download }) => {
    ran.push('transcribe')
    return `words of ${download}`
  })
  .step('upload', ['transcribe'], async ({ transcribe }) => {
    ran.push('upload')
    if (uploads++ === 0) throw new Error('the store is down')
    return transcribe.length
  })
let uploads = 0

const instrument = bullmq(t)
const worker = new Worker(
  'analysis',
  instrument(async (job) => {
    ran = []
    try {
      // Kept in Redis beside the job: it would be found by any other worker, also after a crash of this one.
      return await analysis.run(job.data, { checkpoint: checkpoint(job), progress: true })
    } finally {
      console.log(`attempt ${job.attemptsMade + 1} ran: ${ran.join(', ')}`)
    }
  }),
  { connection, prefix },
)
const done = new Promise<void>((resolve) => worker.on('completed', () => resolve()))
const queue = new Queue('analysis', { connection, prefix, telemetry: propagation(t) })
const { id } = await queue.add('analyse_clip', { clip: 7 }, { attempts: 2 })
await done

const job = await queue.getJob(String(id))
console.log(`data is still ${JSON.stringify(job?.data)}, progress ${job?.progress}`)
await worker.close()
await queue.close()
await release()
await sdk.close()
