// Row: backends that take spans badly, or not at all. It costs spans, never a task, memory or the end of the process.
import { trace } from '@opentelemetry/api'
import { pino } from 'pino'
import { BACKENDS } from '../cases/backends.ts'
import { holds, ranOnce, rendering } from '../cases/expect.ts'
import { exporting, type Way } from '../cases/exporting.ts'
import { heapUsed, megabytes } from '../cases/heap.ts'
import type { Bench, Case, Fault } from '../fault.ts'
import { sample } from '../fault.ts'

const SPAN_BYTES = 10_000
// 2,000 spans of 10 KB that are kept are 20 MB.
const MAX_KEPT_BYTES = 12 * 2 ** 20
const FIRST = 20

const quiet = pino({ level: 'silent' })

async function sendTo(bench: Bench, kind: string, way: Way): Promise<void> {
  const isShort = bench.form.name === 'short'
  const flushMs = isShort ? 300 : 3_000
  const backend = await BACKENDS[kind]?.()
  if (backend === undefined) throw new Error(`there is no backend that ${kind}`)
  bench.after(() => backend.close())
  const end = exporting(bench, way, backend.url, flushMs)
  const lane = await bench.open({ logger: quiet })
  await lane.work(
    (delivery) => {
      trace.getActiveSpan()?.setAttribute('note', Buffer.alloc(SPAN_BYTES, 'x').toString('latin1'))
      return rendering(delivery)
    },
    { concurrency: 10 },
  )
  const ids = Array.from({ length: isShort ? 60 : 2_000 }, (_, n) => `t-${n}`)
  await lane.put(...ids.slice(0, FIRST).map((id) => ({ id })))
  await ranOnce(bench, lane, ids.slice(0, FIRST))
  const before = await heapUsed()
  for (const some of chunks(ids.slice(FIRST))) {
    await Promise.all(some.map((id) => lane.put({ id })))
    await Promise.all(some.map((id) => ranOnce(bench, lane, [id])))
  }
  const kept = (await heapUsed()) - before
  holds(`${megabytes(kept)} are kept`, kept < MAX_KEPT_BYTES)

  await lane.stop()
  const began = performance.now()
  await end()
  const tookMs = Math.round(performance.now() - began)
  holds(`the shutdown took ${tookMs} ms`, tookMs < 5_000)
}

/** Some at a time: one by one, each would wait for the broker's answer to the one before. */
const chunks = (ids: readonly string[]): string[][] =>
  Array.from({ length: Math.ceil(ids.length / 200) }, (_, n) => ids.slice(n * 200, n * 200 + 200))

export const backends: Fault = {
  name: 'backends that fail',
  promise:
    "all tasks (2,000 each time) run once, at most 12 MB more are kept, and the shutdown of the SDK (ours is that of start(), the peers have OpenTelemetry's own) resolves within 5 s",
  places: ['BullMQ', 'RabbitMQ'],
  cases(form, place) {
    const all = Object.keys(BACKENDS).flatMap((kind) =>
      (['in batches', 'one by one'] as const).map((way): Case => {
        return {
          title: `a backend that ${kind}, ${way}`,
          patienceMs: 12 * form.patienceMs,
          run: (bench) => sendTo(bench, kind, way),
        }
      }),
    )
    if (form.name === 'long') return all
    // The short form tries some, and on each broker others; the first one finds out the careless.
    return sample(place === 'BullMQ' ? all : all.filter((_, n) => n === 0 || n % 4 === 2 || n % 4 === 3), 4)
  },
}
