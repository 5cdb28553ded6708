// How each contender's spans are sent: by start(), by OpenTelemetry's own SDK as its documentation sets it up, or by hand.
import { trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  SimpleSpanProcessor,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { start } from 'taskspan/sdk'
import type { Bench, ContenderName } from '../fault.ts'

export type Way = 'in batches' | 'one by one'

/** A queue that is soon full, so that what is kept beyond it shows. */
const SETTINGS = { OTEL_BSP_MAX_QUEUE_SIZE: '256', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '64', OTEL_BSP_SCHEDULE_DELAY: '50' }

/**
 * Registers an SDK that sends to `url`, in place of the recorder.
 *
 * @returns what ends it as its users would
 */
export function exporting(bench: Bench, way: Way, url: string, flushMs: number): () => Promise<void> {
  const before = { ...process.env }
  bench.after(() => {
    process.env = before
  })
  Object.assign(process.env, SETTINGS, { OTEL_EXPORTER_OTLP_ENDPOINT: url })
  trace.disable()
  if (bench.contender === 'taskspan' && way === 'in batches') {
    const sdk = start({ app: 'shop', worker: 'render' })
    const { state, problems } = sdk.status()
    if (state !== 'running') throw new Error(`start() is ${state}: ${problems.join(', ')}`)
    return () => sdk.close({ flushMs })
  }
  // What is sent one by one has no time-out of the processor's, and so gets a short one.
  if (way === 'one by one') process.env.OTEL_EXPORTER_OTLP_TIMEOUT = String(Math.min(flushMs, 1_000))
  const provider = new BasicTracerProvider({ spanProcessors: [processor(bench.contender, way, url)] })
  trace.setGlobalTracerProvider(provider)
  return () => provider.shutdown()
}

function processor(contender: ContenderName, way: Way, url: string): SpanProcessor {
  if (contender === 'careless') return byHand(url)
  return way === 'in batches'
    ? new BatchSpanProcessor(new OTLPTraceExporter())
    : new SimpleSpanProcessor(new OTLPTraceExporter())
}

function byHand(url: string): SpanProcessor {
  const sending: Promise<unknown>[] = []
  return {
    onStart() {},
    onEnd: ({ name, attributes }) => {
      sending.push(fetch(url, { method: 'POST', body: JSON.stringify({ name, attributes }) }))
    },
    forceFlush: async () => {},
    shutdown: async () => void (await Promise.all(sending)),
  }
}
