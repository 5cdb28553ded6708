// A processor in a file of its own, as a user writes it: one line around the handler.
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread } from 'node:worker_threads'
import { trace } from '@opentelemetry/api'
import { DelayedError, type SandboxedJob } from 'bullmq'
import { currentTask, reject } from 'taskspan'
import { inject } from 'taskspan/bullmq'
import { log } from 'taskspan/logging'
import { pipeline } from 'taskspan/pipeline'
import { sandboxed } from 'taskspan/processes'
import { ext, service, usage } from 'taskspan/spans'
import { telemetry } from 'taskspan/telemetry'

const t = telemetry()
const steps = pipeline<string>('clip', t)
  .step('download', async ({ input }) => `${input}.mp4`)
  .step('cut', ['download'], async ({ download }) => `cut ${download}`)

class CodecError extends Error {}

async function whatIsTold(job: SandboxedJob) {
  const task = currentTask()
  await job.updateProgress(50)
  await job.log('half way')
  await job.updateData({ ...(job.data as object), seen: true })
  log().info({ frames: 7, password: 'hunter2' }, 'decoded')
  await ext('whisper', 'transcribe', { clip_id: '7' }, async () => usage({ gpu_seconds: 1.5 }))
  await service('credits.reserve', { user_id: 'u-1' }, async () => {})
  trace.getActiveSpan()?.setAttribute('inner', true) // of the parent: not recorded here
  const { name, queue, id, attempt, correlation } = task ?? {}
  const cut = await steps.run('c-7')
  return {
    task: { name, queue, id, attempt, correlation },
    cut: (cut as { cut: string }).cut,
    carrier: JSON.parse(String((inject() as { telemetry?: { metadata?: string } }).telemetry?.metadata ?? '{}')),
    inThread: !isMainThread,
  }
}

export default sandboxed(async (job: SandboxedJob, token?: string, signal?: AbortSignal) => {
  switch (job.name) {
    case 'fails':
      throw Object.assign(new CodecError('codec crashed'), { code: 'E_CODEC' })
    case 'refuses':
      throw reject('malformed', 'no such clip')
    case 'delays':
      await job.moveToDelayed(Date.now() + 60_000, token)
      throw new DelayedError()
    case 'hangs':
      await service('frames.decode', { clip_id: '7' }, async () => {})
      log().info('about to hang')
      await job.updateProgress(1)
      return new Promise(() => setInterval(() => {}, 1_000))
    case 'dies':
      await service('frames.decode', { clip_id: '7' }, async () => {})
      log().info('last words')
      process.kill(process.pid, 'SIGKILL')
      return new Promise(() => {})
    case 'crashes':
      setImmediate(() => {
        throw new TypeError('outside of every promise')
      })
      return new Promise(() => {})
    case 'lists':
      return [...Object.keys(job), ...Object.keys(JSON.parse(JSON.stringify(job)))].join()
    case 'waits':
      await job.updateProgress(1)
      await new Promise((_, refuse) => signal?.addEventListener('abort', () => refuse(new Error('stopped'))))
      return
    case 'floods':
      for (let n = 0; n < 40_000; n++) log().info({ n, text: 'x'.repeat(900) }, 'flood')
      return 'flooded'
    case 'forges':
      return forge()
    case 'sleeps':
      await sleep(30)
      await service('clip.sleep', { clip_id: String((job.data as { n: number }).n) }, () => sleep(20))
      return (job.data as { n: number }).n
    default:
      return whatIsTold(job)
  }
}, t)

/** What a process that means harm, or another library, might send over the same channel. */
async function forge() {
  const bad = [
    { taskspan: 1, spans: 'all of them', lines: [7, '{', '[]', 'null', `"${'x'.repeat(70_000)}"`] },
    { taskspan: 1, spans: ['{}', '{"name":"x","context":{"traceId":"__proto__"}}', 'null', '[1]'] },
    {
      taskspan: 1,
      changes: [
        null,
        1,
        { metric: '__proto__', labels: [], value: 1 },
        { metric: 'constructor', labels: [], value: 1 },
      ],
    },
    { taskspan: 1, changes: [{ metric: 'tasks', labels: ['q', 'n', 't', 'o'], value: -5 }] },
    {
      taskspan: 1,
      changes: [
        { metric: 'tasks', labels: ['q'], value: 5 },
        { metric: 'inProgress', labels: ['q', 'n'], value: 9 },
      ],
    },
    {
      taskspan: 1,
      changes: [{ metric: 'extDuration', labels: ['a', 'b', 'ok'], value: 1, counts: [1], bounds: [1, 2] }],
    },
    { taskspan: 1, faults: [['x', 'y'], ['a b', -1], 'z'], overflows: { a: 1 }, threw: { run: 'x' } },
    { taskspan: 1, threw: { run: 1, type: 'a message in disguise', reason: 'whatever' } },
    { taskspan: 1, changes: [{ metric: 'extDuration', labels: ['a', 'b', 'ok'], counts: [1, 0], bounds: [1] }] },
    { taskspan: 1, gauges: [{ metric: 'inProgress', labels: ['q', 'n'], value: 9 }] },
    { taskspan: 2 },
    { taskspan: 1 },
    { something: 'else' },
  ]
  for (const message of bad) process.send?.(message)
  return 'forged'
}
