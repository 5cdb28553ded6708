// npm run demo: requests, the tasks they ask for, their steps and a schedule, as traces, metrics, log lines and over HTTP.
import { once } from 'node:events'
import { Registry } from 'prom-client'
import { logger } from 'taskspan/logging'
import type { PipelineReport } from 'taskspan/pipeline'
import { start } from 'taskspan/sdk'
import { serve } from 'taskspan/server'
import { telemetry } from 'taskspan/telemetry'
import { watch } from 'taskspan/watch'
import { startApi } from './api.ts'
import { openBroker } from './embedded.ts'
import { ended } from './ended.ts'
import { startMail } from './mail.ts'
import { aside, memory, say, sayHowTo, sayLines, sayMail, sayMetrics, sayRun, sayServed, title } from './report.ts'
import { startSchedule } from './schedule.ts'
import { startWorker } from './worker.ts'

async function demo(): Promise<void> {
  // Spans go to OTEL_EXPORTER_OTLP_ENDPOINT, or to this terminal; the demo wants to show them here in any case.
  if (process.env.OTEL_EXPORTER_OTLP_ENDPOINT) process.env.OTEL_TRACES_EXPORTER ??= 'otlp,console'
  process.env.OTEL_EXPORTER_OTLP_TIMEOUT ??= '1000' // a backend that is down must not hold up a demo
  await using sdk = start({ app: 'shop', worker: 'demo', version: '1.0.0', environment: 'demo' })

  const lines: Record<string, unknown>[] = []
  const registry = new Registry()
  const t = telemetry({ registry, logger: logger({}, memory(lines)), correlation: ['request_id'] })

  aside('opening BullMQ …')
  await using broker = await openBroker((line) => aside(`${line} …`))
  aside(broker.describe)
  await using mail = await startMail(t)
  aside(mail?.describe ?? 'no RabbitMQ (AMQP_URL is not set)')
  await using api = await startApi(broker, t)
  const worker = startWorker(broker, t, mail)

  // A worker's port is 9464, or TASKSPAN_PORT; the demo takes any that is free.
  await using watching = watch({ telemetry: t, workers: [worker, api.worker] })
  const port = Number(process.env.TASKSPAN_PORT ?? 0)
  const clips = broker.queue('clips')
  const checks = { bullmq: () => clips.count() } // behind /ready: rejects when nothing answers
  await using served = await serve({ telemetry: t, sdk, watch: watching, checks, debug: true, port })
  aside(`metrics, probes and a look inside: ${served.address}/metrics /health /ready /debug/status\n`)

  const post = (path: string, id: string): Promise<Response> =>
    fetch(api.url + path, { method: 'POST', headers: { 'x-request-id': id } })

  title('A request asks for a task; the task asks for another, which the API handles')
  const rendered = [ended(worker, 'render_clip'), ended(api.worker, 'clip_ready')]
  await post('/clips/7/render', 'r-1')
  await Promise.all(rendered)
  await sdk.flush() // without it, a trace is shown when it has been quiet for half a second

  title('A task is a graph of steps; a crash ends its first attempt, the second does only what is left')
  const analysed = ended(worker, 'analyse_clip')
  await post('/clips/7/analyse', 'r-2')
  const report = await analysed
  await mail?.sent
  await sdk.flush()
  sayRun(report as PipelineReport)
  if (!mail) sayMail()

  title('A task fails, and is retried')
  const transcribed = ended(worker, 'transcribe_clip')
  await post('/clips/7/transcribe', 'r-3')
  await transcribed
  await sdk.flush()

  title('A task fails for good')
  const published = ended(worker, 'publish_clip')
  await post('/clips/7/publish', 'r-4')
  await published
  await sdk.flush()

  title('A schedule ticks; the task that it enqueues has a trace of its own, linked to the tick')
  const expired = ended(worker, 'delete_expired_clips')
  startSchedule(broker, t)
  await expired
  await sdk.flush()

  title('The metrics, as Prometheus scrapes them')
  await sayMetrics(served)

  title(`The log lines of request r-1, ${mail ? 'of the mail that r-2 led to, ' : ''}and how r-4 failed`)
  const told = ({ request_id: id, task_name: task, message }: Record<string, unknown>): boolean =>
    id === 'r-1' || task === 'mail_owner' || message === 'task.failed'
  sayLines(lines.filter(told))

  title('What the worker says of itself over HTTP')
  await watching.sample() // out of turn: it looks every 15 s
  await sayServed(served)

  sayHowTo([broker, mail], sdk.status())
  if (!process.argv.includes('--stay')) return
  aside(`\nIt stays to be looked at: ${served.address}/debug/traces, /debug/workflow, … Ctrl-C ends it.`)
  await once(process, 'SIGINT')
}

try {
  await demo()
} catch (error) {
  say(`The demo failed: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}
