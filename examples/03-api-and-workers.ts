// An API and two workers: one request, one trace through both queues, one request_id. Run: npx tsx examples/03-api-and-workers.ts
// prints: ^POST /clips
// prints: ^└─ send render
// prints: ^ {3}└─ taskiq\.render_clip
// prints: ^ {6}└─ send notify
// prints: ^ {9}└─ taskiq\.send_mail
// prints: "request_id":"r-81".*"message":"mail sent"
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SpanKind, trace } from '@opentelemetry/api'
import { Queue, Worker } from 'bullmq'
import { bullmq, propagation } from 'taskspan/bullmq'
import { bind, log } from 'taskspan/logging'
import { telemetry } from 'taskspan/telemetry'
import { recordSpans } from 'taskspan/testing'
import { redis } from './redis.ts'

const { connection, prefix, release } = await redis()
const spans = recordSpans() // in your processes: start({ app: 'shop', worker: 'api' }), 'render', 'notify'
const t = telemetry({ correlation: ['request_id'] }) // the one key that may travel with messages
const instrument = bullmq(t)
const open = (name: string) => new Queue(name, { connection, prefix, telemetry: propagation(t) })
const [clips, mails] = [open('render'), open('notify')]

// The first worker renders, and hands on to the second.
const renderer = new Worker(
  'render',
  instrument(async (job) => {
    log().info({ clip: job.data.clip }, 'rendered')
    await mails.add('send_mail', { to: job.data.user })
  }),
  { connection, prefix },
)
const mailer = new Worker(
  'notify',
  instrument(async () => log().info('mail sent')),
  { connection, prefix },
)

// The API. Its span is usually made by @opentelemetry/instrumentation-http; here by hand.
const api = createServer((request, response) => {
  trace.getTracer('api').startActiveSpan(`${request.method} ${request.url}`, { kind: SpanKind.SERVER }, (span) =>
    bind({ request_id: String(request.headers['x-request-id']) }, async () => {
      const job = await clips.add('render_clip', { clip: 42, user: 'ada@example.org' })
      response.writeHead(202).end(job.id)
      span.end()
    }),
  )
}).listen(0, '127.0.0.1')
await once(api, 'listening')

const mailed = once(mailer, 'completed')
const { port } = api.address() as AddressInfo
await fetch(`http://127.0.0.1:${port}/clips`, { method: 'POST', headers: { 'x-request-id': 'r-81' } })
await mailed
await Promise.all([renderer.close(), mailer.close(), clips.close(), mails.close()])
api.close()
await release()
console.log(spans.waterfall())
