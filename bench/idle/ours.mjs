// What the idle worker runs besides: telemetry, watch and the server, with their defaults.
import { bullmq } from 'taskspan/bullmq'
import { logger } from 'taskspan/logging'
import { serve } from 'taskspan/server'
import { telemetry } from 'taskspan/telemetry'
import { watch } from 'taskspan/watch'

const t = telemetry({ logger: logger({ level: 'info' }, { write() {} }) })
const instrument = bullmq(t)

export const around = (processor) => instrument(processor)

export async function begin(worker, queue) {
  instrument.observe(worker)
  const watching = watch({ telemetry: t, workers: [worker], queues: [queue] })
  await serve({ telemetry: t, watch: watching, port: 0, debug: true })
}
