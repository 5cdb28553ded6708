// The demo's API: it asks itself for a clip every second, and each request becomes a task.
import { createServer } from 'node:http'
import { SpanKind, trace } from '@opentelemetry/api'
import { Queue } from 'bullmq'
import { propagation } from 'taskspan/bullmq'
import { bind } from 'taskspan/logging'
import { begin, type Clip, prefix, redisUrl, serveUntilSignal, sometimes } from './process.ts'

const begun = begin('api')
const clips = new Queue<Clip>('render', { connection: { url: redisUrl }, prefix, telemetry: propagation(begun.t) })
let requests = 0

// An HTTP instrumentation would make this span; made by hand, the demo needs none.
const server = createServer((request, response) => {
  const id = String(request.headers['x-request-id'])
  trace.getTracer('http').startActiveSpan('POST /clips', { kind: SpanKind.SERVER }, (span) =>
    bind({ request_id: id }, async () => {
      try {
        await clips.add(
          sometimes(0.3) ? 'analyse_clip' : 'render_clip',
          { clip: requests },
          { attempts: 3, backoff: 500 },
        )
        response.writeHead(202).end()
      } catch {
        response.writeHead(503).end() // the queue's broker is away
      } finally {
        span.end()
      }
    }),
  )
})
server.listen(Number(process.env.DEMO_API_PORT ?? 8080))

const everyMs = Number(process.env.DEMO_EVERY_MS ?? 1_000)
const timer = setInterval(async () => {
  const { port } = server.address() as { port: number }
  const headers = { 'x-request-id': `r-${++requests}` }
  await fetch(`http://127.0.0.1:${port}/clips`, { method: 'POST', headers }).catch(() => {})
}, everyMs)

const close = async (): Promise<void> => {
  clearInterval(timer)
  server.close()
  server.closeAllConnections()
  await clips.close()
}
await serveUntilSignal(begun, [{ close }], { queues: [clips] })
