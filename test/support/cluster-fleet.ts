// A cluster as a user runs it: workers that count, and a primary that shows; told what to do by the test that forked it.
import cluster, { type Worker as ClusterWorker } from 'node:cluster'
import { once } from 'node:events'
import { type ConnectionOptions, Worker } from 'bullmq'
import { AggregatorRegistry, register } from 'prom-client'
import { bullmq } from 'taskspan/bullmq'
import { render } from 'taskspan/metrics'
import { collectMetrics, reportMetrics } from 'taskspan/processes'
import { telemetry } from 'taskspan/telemetry'
import { recordSpans } from 'taskspan/testing'

interface Given {
  queue: string
  connection: ConnectionOptions
  prefix: string
  /** prom-client's own way instead of ours. */
  aggregate: boolean
}
const { queue, connection, prefix, aggregate } = JSON.parse(String(process.argv[2])) as Given
recordSpans() // exemplars are of sampled spans
const t = telemetry({ logging: false })
const aggregator = new AggregatorRegistry() // asks in the primary, answers in a worker

if (cluster.isPrimary) await lead()
else await work()

async function work(): Promise<void> {
  const reporting = aggregate ? undefined : reportMetrics(t, { intervalMs: 100 })
  let release = (): void => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const process_ = bullmq(t)(async (job) => {
    if (job.name === 'holds') await held
    if (job.name === 'fails') throw new RangeError('no')
  })
  const worker = new Worker(queue, process_, { connection, prefix, concurrency: 4 })
  process.on('message', async (word) => {
    if (word !== 'end') return
    release()
    await worker.close()
    await reporting?.close()
    process.disconnect()
  })
  await worker.waitUntilReady()
  process.send?.('ready')
}

async function lead(): Promise<void> {
  if (!aggregate) collectMetrics(t, cluster)
  const workers = [cluster.fork(), cluster.fork()]
  await Promise.all(workers.map(readiness))
  const answers: Record<string, () => Promise<string>> = {
    classic: async () => (aggregate ? await aggregator.clusterMetrics() : (await render(register)).body),
    openMetrics: async () => (await render(register, 'application/openmetrics-text')).body,
    async kill() {
      const gone = once(cluster, 'exit')
      workers.shift()?.process.kill('SIGKILL')
      await gone
      return 'killed'
    },
    async end() {
      const gone = workers.map((worker) => once(worker, 'exit'))
      for (const worker of workers) worker.send('end')
      await Promise.all(gone)
      return (await render(register)).body
    },
  }
  process.on('message', async (word: string) => process.send?.(await answers[word]?.()))
  process.send?.('ready')
}

function readiness(worker: ClusterWorker): Promise<void> {
  return new Promise((resolve) => worker.on('message', (word) => word === 'ready' && resolve()))
}
