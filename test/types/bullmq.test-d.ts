// What a user writes with BullMQ keeps its types, and what is wrong does not compile. Checked by `tsc`; nothing runs.
import { createPostgresBackend, type Job, type JobsOptions, type Processor, Queue, Worker, withBackend } from 'bullmq'
import {
  type BullmqInstrument,
  bullmq,
  inject,
  injectBulk,
  injectFlow,
  type Observation,
  propagation,
} from 'taskspan/bullmq'
import { telemetry } from 'taskspan/telemetry'
import { expectTypeOf } from 'vitest'

interface Clip {
  readonly clip: number
}
type Name = 'render' | 'cut'

const connection = { host: 'localhost' }
const t = telemetry()
const instrument = bullmq(t)
expectTypeOf(instrument).toEqualTypeOf<BullmqInstrument>()

// Inside `new Worker`: data, result and name come from the worker's own type arguments.
new Worker<Clip, string, Name>(
  'clips',
  instrument(async (job) => {
    expectTypeOf(job).toEqualTypeOf<Job<Clip, string, Name>>()
    expectTypeOf(job.data).toEqualTypeOf<Clip>()
    expectTypeOf(job.name).toEqualTypeOf<Name>()
    return `rendered ${job.data.clip}`
  }),
  { connection },
)

// With token and signal.
new Worker<Clip, string>(
  'clips',
  instrument(async (job, token, signal) => {
    expectTypeOf(token).toEqualTypeOf<string | undefined>()
    expectTypeOf(signal).toEqualTypeOf<AbortSignal | undefined>()
    return String(job.data.clip)
  }),
  { connection },
)

// Without type arguments: as BullMQ itself.
new Worker(
  'clips',
  instrument(async (job) => {
    expectTypeOf(job).toEqualTypeOf<Job>()
  }),
  { connection },
)

// Standing alone: the very type that went in comes out.
const render = instrument(async (job: Job<Clip, string, Name>) => `rendered ${job.data.clip}`)
expectTypeOf(render).toEqualTypeOf<(job: Job<Clip, string, Name>) => Promise<string>>()
const typed: Processor<Clip, string, Name> = async () => 'rendered'
expectTypeOf(instrument(typed)).toEqualTypeOf<Processor<Clip, string, Name>>()
const worker = new Worker<Clip, string, Name>('clips', render, { connection })

// A method that is bound, as NestJS's WorkerHost is.
class Host {
  async process(job: Job<Clip, string, Name>): Promise<string> {
    return String(job.data.clip)
  }
}
const host = new Host()
new Worker<Clip, string, Name>('clips', instrument(host.process.bind(host)), { connection })

// Observing.
expectTypeOf(instrument.observe(worker)).toEqualTypeOf<Observation>()
expectTypeOf<Observation>().toExtend<AsyncDisposable>()

// BullMQ on PostgreSQL.
const onPostgres = withBackend(createPostgresBackend)
const elsewhere = new onPostgres.Worker<Clip, string, Name>('clips', render, {
  connection: { connectionString: 'postgres://localhost' },
})
expectTypeOf(instrument.observe(elsewhere)).toEqualTypeOf<Observation>()

// Senders.
const queue = new Queue<Clip, string, Name>('clips', { connection, telemetry: propagation(t) })
void queue.add('render', { clip: 7 }, inject({ attempts: 3 }))
void queue.add('render', { clip: 7 }, inject())
expectTypeOf(inject()).toEqualTypeOf<JobsOptions>()
expectTypeOf(inject({ attempts: 3 } as const)).toEqualTypeOf<{ readonly attempts: 3 }>()
void queue.addBulk(injectBulk([{ name: 'render', data: { clip: 7 } }], { queue: 'clips' }))
const frozen = Object.freeze({ name: 'export', queueName: 'exports', children: [{ name: 'clip', queueName: 'clips' }] })
expectTypeOf(injectFlow(frozen)).toEqualTypeOf<typeof frozen>()
new Worker('clips', null, { connection, telemetry: propagation() })

// Wrong uses.

const wrongResult = instrument(async (job: Job<Clip>) => `rendered ${job.data.clip}`)
// @ts-expect-error a result of another type
new Worker<Clip, number>('clips', wrongResult, { connection })

const wrongData = instrument(async (job: Job<{ other: string }>) => job.data.other)
// @ts-expect-error data of another type
new Worker<Clip, string>('clips', wrongData, { connection })

const wrongName = instrument(async (job: Job<Clip, string, 'mail'>) => job.name)
// @ts-expect-error names of other jobs
new Worker<Clip, string, Name>('clips', wrongName, { connection })

new Worker<Clip, string>(
  'clips',
  // @ts-expect-error a key that the data does not have
  instrument(async (job) => job.data.missing),
  { connection },
)

// @ts-expect-error a file: its function is wrapped inside it
instrument('/srv/render.js')

// @ts-expect-error a URL: its function is wrapped inside it
instrument(new URL('file:///srv/render.js'))

// @ts-expect-error nothing
instrument()

// @ts-expect-error no function
instrument({ process: async () => {} })

// @ts-expect-error a middleware is a function of a task and next
bullmq({ telemetry: t })

// @ts-expect-error a queue is not a worker
instrument.observe(queue)

// @ts-expect-error job options of BullMQ's, spelled right
inject({ attempt: 3 })

// @ts-expect-error a schedule is a name
inject({}, { schedule: 7 })

// @ts-expect-error bulk jobs have names
injectBulk([{ data: {} }])

// @ts-expect-error a flow has a queue
injectFlow({ name: 'export' })
