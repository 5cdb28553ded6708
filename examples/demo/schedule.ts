// The scheduler: a cron runner whose tick enqueues a task. Each run is a trace of its own, linked to its tick.
import { Cron } from 'croner'
import { inject } from 'taskspan/bullmq'
import { cron } from 'taskspan/cron'
import type { Telemetry } from 'taskspan/telemetry'
import type { Broker } from './embedded.ts'

/** Ticks once, at the next full second. */
export function startSchedule(broker: Broker, t: Telemetry): Cron {
  const clips = broker.queue('clips')
  const tick = cron(t)
  const enqueue = tick('expiry', async () => {
    await clips.add('delete_expired_clips', {}, inject({}, { schedule: 'expiry' }))
  })
  return new Cron('* * * * * *', { maxRuns: 1 }, enqueue)
}
