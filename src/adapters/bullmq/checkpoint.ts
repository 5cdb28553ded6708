// Where a pipeline's finished steps are kept in Redis: a hash beside the job's, until it expires.
import type { Job } from 'bullmq'
import { atLeast, checkOptions, show, TaskspanError } from '../../kernel/errors.ts'

export interface CheckpointOptions {
  /** How long records stay after the last one was saved, in ms; give it more than a job may take to come back. Default a day. */
  readonly ttlMs?: number | undefined
}

/** What a pipeline's `checkpoint` option asks for. */
export interface BullmqCheckpoint {
  load(run: string): Promise<Record<string, string> | undefined>
  save(run: string, step: string, record: string): Promise<void>
}

/** The little that this needs; BullMQ's own Redis clients have it, whatever library they wrap. */
interface Redis {
  hgetall(key: string): Promise<Record<string, string>>
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void
  runCommand(name: string, args: (string | number)[]): Promise<unknown>
}

// Three dangers. A job that has been removed must not leave its steps behind; one that was added again under the same id
// is another job; and a worker that has lost its lock must not write over what its successor does now.
const SAVE = `
if redis.call('HGET', KEYS[1], 'timestamp') ~= ARGV[1] then return 0 end
if ARGV[2] ~= '' and redis.call('GET', KEYS[3]) ~= ARGV[2] then return -1 end
if redis.call('HGET', KEYS[2], 'job') ~= ARGV[1] then redis.call('DEL', KEYS[2]) end
redis.call('HSET', KEYS[2], 'job', ARGV[1], ARGV[3], ARGV[4])
return redis.call('PEXPIRE', KEYS[2], ARGV[5])`
const COMMAND = 'taskspanSaveStep'
const prepared = new WeakSet<Redis>()

const DAY = 86_400_000

/**
 * Keeps the finished steps of a job's pipelines in Redis beside the job, so that its next attempt, on whichever worker,
 * does not run them again. It touches neither the job's data nor its progress.
 *
 * BullMQ removes no keys but its own with a job: what is kept goes when it has not been written for `ttlMs`.
 *
 * @throws {TaskspanError} `INVALID_OPTION` for a job that is not on Redis
 * @example
 * instrument(async (job) => analysis.run(job.data, { checkpoint: checkpoint(job) }))
 */
export function checkpoint(job: Job, options: CheckpointOptions = {}): BullmqCheckpoint {
  checkOptions('checkpoint', options, { ttlMs: atLeast(1) })
  const ttlMs = Math.floor(options.ttlMs ?? DAY)
  const redis = redisOf(job)
  const jobKey = `${job.queueQualifiedName}:${job.id}`
  // One hash per job, a field per step: the run's key first, as a task may run several pipelines.
  const key = `${jobKey}:steps`

  return {
    async load(run) {
      const { job: written, ...fields } = await (await redis).hgetall(key)
      if (written !== String(job.timestamp)) return undefined
      const prefix = `${run}/`
      const mine = Object.entries(fields).filter(([field]) => field.startsWith(prefix))
      if (mine.length === 0) return undefined
      return Object.fromEntries(mine.map(([field, record]) => [field.slice(prefix.length), record]))
    },
    async save(run, step, record) {
      const client = await redis
      if (!prepared.has(client)) client.defineCommand(COMMAND, { numberOfKeys: 3, lua: SAVE })
      prepared.add(client)
      const keys = [jobKey, key, `${jobKey}:lock`]
      const saved = await client.runCommand(COMMAND, [
        ...keys,
        job.timestamp,
        job.token ?? '',
        `${run}/${step}`,
        record,
        ttlMs,
      ])
      if (saved === -1) throw new Error(`the lock of job ${job.id} is lost: another worker may run it now`)
    },
  }
}

// BullMQ keeps the backend to itself in its types; `Queue.client` is the same one.
function redisOf(job: Job): Promise<Redis> {
  const client = (job as unknown as { queue?: { backend?: { client?: Promise<Redis> } } }).queue?.backend?.client
  if (client !== undefined) return client
  throw new TaskspanError('INVALID_OPTION', `checkpoint: the job ${show(job?.id)} is not on BullMQ's Redis backend.`)
}
