// A worker in a process of its own, as it would be deployed: it takes jobs until a signal tells it to end.
import { Worker } from 'bullmq'
import { bullmq } from 'taskspan/bullmq'
import { start } from 'taskspan/sdk'
import { serve } from 'taskspan/server'
import { telemetry } from 'taskspan/telemetry'

const { queue, connection, prefix, flushMs, graceMs, stubborn } = JSON.parse(String(process.argv[2]))

const sdk = start({ app: 'shop', worker: 'render', checks: { redis: () => worker.waitUntilReady() } })
const t = telemetry()
const instrument = bullmq(t)
const worker = new Worker(
  queue,
  instrument(async (job, _token, signal) => {
    if (job.name === 'endless') {
      await new Promise((resolve, reject) => {
        // A timer, as a real task would have a socket or a child.
        const timer = setInterval(resolve, 60_000)
        if (!stubborn) {
          signal?.addEventListener('abort', () => {
            clearInterval(timer)
            reject(signal.reason)
          })
        }
      })
    }
    await new Promise((resolve) => setTimeout(resolve, job.data.ms))
  }),
  { connection, prefix, concurrency: 4, autorun: false },
)
await sdk.ready()
const server = await serve({ telemetry: t, sdk, port: 0 })
sdk.closeOnSignal({ workers: [worker], last: [server], graceMs, flushMs })
void worker.run()
