// A BullMQ worker whose tasks end in every way there is, with calls to services, a pipeline and a schedule.
import { DelayedError, type Job, Queue, UnrecoverableError, Worker } from 'bullmq'
import { reject } from 'taskspan'
import { bullmq } from 'taskspan/bullmq'
import { ext, service, usage } from 'taskspan/spans'
import { watch } from 'taskspan/watch'
import { analyse } from './analysis.ts'
import { did, member, on, sleep } from './member.ts'

const { place, t, open } = member('render', {
  // A fault of telemetry, not of the task.
  attributes: (task) => {
    if (task.name === 'export_clip') throw new Error('a callback that throws')
    return undefined
  },
})
const own = { connection: place.redis, prefix: place.prefix }

type Data = { readonly n: number; readonly reason: 'malformed' | 'unknown_task' | 'expired' | 'other' }

const tasks: Record<string, (job: Job<Data>, token?: string, signal?: AbortSignal) => Promise<unknown>> = {
  async render_clip({ data: { n } }) {
    await whisper(n)
    const reserved = service('credits.reserve', { user_id: n }, async () => {
      await sleep(5)
      if (n % 10 === 0) throw new RangeError('no credits')
    })
    await reserved.catch(() => {})
    did('credits.reserve')
    did('render_clip success')
  },
  async analyse_clip(job) {
    await analyse(t, job.data.n, String(job.id)).catch((error: unknown) => ends(job, error))
    did('analyse_clip success')
  },
  async publish_clip(job) {
    await sleep(20)
    ends(job, new RangeError('no owner'))
  },
  async import_clip({ data: { reason } }) {
    did(`rejected ${reason}`)
    throw reject(reason)
  },
  async export_clip(job, token) {
    if (job.attemptsStarted === 1) {
      await job.moveToDelayed(Date.now() + 200, token)
      did('export_clip deferred')
      throw new DelayedError()
    }
    did('export_clip success')
  },
  async convert_clip(job, _token, signal) {
    setTimeout(() => clips.cancelJob(String(job.id)), 20)
    await new Promise((resolve) => signal?.addEventListener('abort', resolve))
    did('convert_clip cancelled')
    throw new UnrecoverableError('cancelled')
  },
  hold_clip: () => new Promise(() => {}),
}

async function whisper(n: number): Promise<void> {
  const upload = ext('s3', 'upload', { clip_file_uuid: n }, () => sleep(4 + (n % 5)))
  const words = ext('whisper', 'transcribe', { clip_file_uuid: n }, async () => {
    await sleep(20 + (n % 7) * 15)
    if (n % 8 === 0) throw new TypeError('no GPU')
    usage({ gpu_seconds: 0.5, input_tokens: 100 })
    did('whisper gpu_seconds', 0.5)
    did('whisper input_tokens', 100)
  })
  const results = await Promise.allSettled([upload, words])
  did('s3 calls')
  did('whisper calls')
  if (results[1].status === 'rejected') did('whisper errors')
}

/** Throws what the task failed with, as the ledger sees it. */
function ends(job: Job, error: unknown): never {
  did(`${job.name} ${job.attemptsMade + 1 < (job.opts.attempts ?? 1) ? 'retry' : 'failure'}`)
  throw error
}

const instrument = bullmq(t)
// The signal is what lets a task be cancelled: BullMQ passes it to processors that take three arguments.
const clips = new Worker<Data>(
  'clips',
  instrument(async (job: Job<Data>, token?: string, signal?: AbortSignal) => tasks[job.name]?.(job, token, signal)),
  { ...own, concurrency: 8 },
)
instrument.observe(clips)

// It looks for stalled jobs soon: another worker of this queue will be killed.
const archive = new Worker(
  'archive',
  instrument(async () => did('archive_clip success')),
  { ...own, autorun: false, stalledInterval: 500, lockDuration: 1_000 },
)
instrument.observe(archive)
on('recover', () => archive.run())

const reports = new Queue('reports', own)
const nightly = new Worker(
  'reports',
  instrument(async () => {
    await sleep(30)
    did('report success')
  }),
  own,
)
instrument.observe(nightly)
on('go', () => reports.upsertJobScheduler('nightly_report', { every: 1_000 }, { name: 'report' }))

const watching = watch({
  telemetry: t,
  workers: [clips, archive, nightly],
  queues: ['exports', 'halted', 'clips-dlq'].map((name) => new Queue(name, own)),
  priorities: [1, 5],
  intervalMs: 500,
  stuckAfterMs: 3_000,
})
await open(watching)
