// The worker: one that works, one that is a graph of steps, one that is retried, one that fails for good, one on a schedule.
import { setTimeout as work } from 'node:timers/promises'
import type { Job, Worker } from 'bullmq'
import { bullmq, propagation } from 'taskspan/bullmq'
import { log } from 'taskspan/logging'
import type { Telemetry } from 'taskspan/telemetry'
import { startAnalysis } from './analysis.ts'
import type { Clip } from './api.ts'
import type { Broker } from './embedded.ts'
import type { Mail } from './mail.ts'

export function startWorker(broker: Broker, t: Telemetry, mail: Mail | undefined): Worker {
  const toApi = broker.queue<Clip>('api', { telemetry: propagation(t) })
  const analyse = startAnalysis(t)

  const tasks: Record<string, (job: Job<Clip>) => Promise<unknown>> = {
    async render_clip({ data: { clip } }) {
      await work(120)
      log().info({ clip, frames: 240 }, 'rendered')
      await toApi.add('clip_ready', { clip })
    },
    async analyse_clip({ data, id }) {
      const report = await analyse(data, String(id))
      mail?.mailOwner(data)
      return report
    },
    async transcribe_clip({ attemptsMade }) {
      await work(attemptsMade === 0 ? 80 : 140)
      if (attemptsMade === 0) throw new ServiceTimeout('whisper did not answer within 80 ms')
    },
    async publish_clip({ data: { clip } }) {
      await work(40)
      throw new PublishError(`clip ${clip} has no owner`)
    },
    async delete_expired_clips() {
      await work(60)
    },
  }

  // The whole of it: wrap the processor, and watch the worker for what no processor sees.
  const instrument = bullmq(t)
  const worker = broker.worker<Clip>(
    'clips',
    instrument(async (job: Job<Clip>) => tasks[job.name]?.(job)),
  )
  instrument.observe(worker)
  return worker
}

class ServiceTimeout extends Error {
  override name = 'ServiceTimeout'
}

class PublishError extends Error {
  override name = 'PublishError'
}
