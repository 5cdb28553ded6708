// One contender in one process: answers each question with what a task cost it, in CPU time or in bytes allocated.
//   node contender.mjs <name>
import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import { answering } from '../rounds.mjs'
import { handler, messages } from './messages.mjs'

const CONTENDERS = {
  bare: async () => (message) => handler(message),
  d: async () => (await import('./by-hand.mjs')).byHand(handler),
  naive: async () => (await import('./by-hand.mjs')).byHand(handler, { lines: true }),
  'bullmq-otel': async () => (await import('./bullmq-otel.mjs')).bullmqOtel(handler),
  ours: async () => (await import('./ours.mjs')).ours(handler),
  'ours-info': async () => (await import('./ours.mjs')).ours(handler, 'info'),
  'ours-debug': async () => (await import('./ours.mjs')).ours(handler, 'debug'),
}

// Spans are made in full and thrown away: what is measured is what makes them.
const discard = { onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} }
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
// As the Node SDK does it.
propagation.setGlobalPropagator(
  new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
)
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [discard] }))

const [name, twin] = process.argv[2].split('0')
const work = messages(twin === undefined)
// BullMQ carries the same headers as a string in the job's options.
for (const message of work) message.metadata = JSON.stringify(message.headers)
const run = await CONTENDERS[name]()

async function tasks(count) {
  for (let n = 0; n < count; n++) await run(work[n % work.length])
}

answering(async ({ count, bytes, warmUp }) => {
  if (warmUp) await tasks(count * 4)
  // With a young generation larger than what a round allocates, nothing is collected meanwhile: the heap's growth is
  // exactly what was allocated. Two numbers, because a measurement must not be disturbed by the other.
  if (bytes) {
    globalThis.gc()
    const before = process.memoryUsage().heapUsed
    await tasks(count)
    return { cost: (process.memoryUsage().heapUsed - before) / count }
  }
  const before = process.cpuUsage()
  await tasks(count)
  const { user, system } = process.cpuUsage(before)
  return { cost: (user + system) / count }
})
