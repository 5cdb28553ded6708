// The API: each request has a span, enqueues work, and hears of its completion through a queue of its own.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SpanKind, trace } from '@opentelemetry/api'
import type { Job, Worker } from 'bullmq'
import { bullmq, propagation } from 'taskspan/bullmq'
import { bind, log } from 'taskspan/logging'
import type { Telemetry } from 'taskspan/telemetry'
import type { Broker } from './embedded.ts'

const tracer = trace.getTracer('http')

export interface Clip {
  readonly clip: number
}

export interface Api extends AsyncDisposable {
  readonly url: string
  readonly worker: Worker
}

export async function startApi(broker: Broker, t: Telemetry): Promise<Api> {
  // `propagation(t)` gives every add a `send` span, and lets the trace travel with the job.
  const clips = broker.queue<Clip>('clips', { telemetry: propagation(t) })

  // POST /clips/7/render asks for the task `render_clip`.
  async function handle({ url = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, , clip, verb] = url.split('/')
    const job = await clips.add(`${verb}_clip`, { clip: Number(clip) }, { attempts: 3, backoff: 150 })
    response.writeHead(202, { 'content-type': 'application/json' }).end(JSON.stringify({ task: job.id }))
  }

  const server = createServer((request, response) => {
    const { method, url = '', headers } = request
    // An HTTP instrumentation would make this span; made by hand, the demo needs none.
    const route = url.replace(/\d+/, ':clip')
    tracer.startActiveSpan(`${method} ${route}`, { kind: SpanKind.SERVER }, async (span) => {
      // What happens for this request from here on, in whatever process, says its id.
      await bind({ request_id: String(headers['x-request-id']) }, () => handle(request, response))
      span.end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  // The completion comes back as a task: in the same trace, with the same request_id.
  const instrument = bullmq(t)
  const onReady = async (job: Job<Clip>): Promise<void> => log().info({ clip: job.data.clip }, 'clip is ready')
  const worker = broker.worker<Clip, void>('api', instrument(onReady))
  instrument.observe(worker)

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    worker,
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
