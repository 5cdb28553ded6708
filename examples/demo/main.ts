// npm run demo: requests, the tasks they ask for and a schedule, on real BullMQ, as traces, metrics and log lines.
import { Registry } from 'prom-client'
import { logger } from 'taskspan/logging'
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'
import { startApi } from './api.ts'
import { openBroker } from './embedded.ts'
import { ended } from './ended.ts'
import { aside, memory, say, sayHowTo, sayLines, sayMetrics, title } from './report.ts'
import { startSchedule } from './schedule.ts'
import { startWorker } from './worker.ts'

async function demo(): Promise<void> {
  // Spans go to OTEL_EXPORTER_OTLP_ENDPOINT, or to this terminal; the demo wants to show them here in any case.
  if (process.env.OTEL_EXPORTER_OTLP_ENDPOINT) process.env.OTEL_TRACES_EXPORTER ??= 'otlp,console'
  process.env.OTEL_EXPORTER_OTLP_TIMEOUT ??= '1000' // a backend that is down must not hold up a demo
  await using sdk = start({ app: 'shop', worker: 'demo', environment: 'demo' })

  const lines: Record<string, unknown>[] = []
  const registry = new Registry()
  const t = telemetry({ registry, logger: logger({}, memory(lines)), correlation: ['request_id'] })

  aside('opening BullMQ …')
  await using broker = await openBroker((line) => aside(`${line} …`))
  aside(`${broker.describe}\n`)
  await using api = await startApi(broker, t)
  const worker = startWorker(broker, t)

  const post = (path: string, id: string): Promise<Response> =>
    fetch(api.url + path, { method: 'POST', headers: { 'x-request-id': id } })

  title('A request asks for a task; the task asks for another, which the API handles')
  const rendered = [ended(worker, 'render_clip'), ended(api.worker, 'clip_ready')]
  await post('/clips/7/render', 'r-1')
  await Promise.all(rendered)
  await sdk.flush() // without it, a trace is shown when it has been quiet for half a second

  title('A task fails, and is retried')
  const transcribed = ended(worker, 'transcribe_clip')
  await post('/clips/7/transcribe', 'r-2')
  await transcribed
  await sdk.flush()

  title('A task fails for good')
  const published = ended(worker, 'publish_clip')
  await post('/clips/7/publish', 'r-3')
  await published
  await sdk.flush()

  title('A schedule ticks; the task that it enqueues has a trace of its own, linked to the tick')
  const expired = ended(worker, 'delete_expired_clips')
  startSchedule(broker, t)
  await expired
  await sdk.flush()

  title('The metrics, as Prometheus scrapes them')
  await sayMetrics(registry)

  title('The log lines of request r-1, and how r-3 failed')
  sayLines(lines.filter(({ request_id: id, message }) => id === 'r-1' || message === 'task.failed'))

  sayHowTo(broker, sdk.status())
}

try {
  await demo()
} catch (error) {
  say(`The demo failed: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}
