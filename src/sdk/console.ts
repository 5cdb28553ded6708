// Waterfalls on stderr: each trace when its spans have ended and it has been quiet for a moment. Bounded.
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace-node'
import { fault, guard } from '../kernel/faults.ts'
import { isColourful, waterfall } from '../waterfall.ts'
import type { Destination } from './exporters.ts'

/** A retry or the task behind a send may still come: they belong on the same picture. */
const QUIET_MS = 500
const MAX_TRACES = 100
const MAX_SPANS = 500

interface Pending {
  /** Spans that have started here and not ended. */
  open: number
  spans: ReadableSpan[]
  dropped: number
  timer: NodeJS.Timeout | undefined
}

export function waterfallProcessor(out: NodeJS.WriteStream = process.stderr): Destination {
  const traces = new Map<string, Pending>()
  let delivered = 0
  let failed = 0
  let writing = 0
  let lastError: string | undefined
  const unheard = (): void => {}

  function pendingOf(traceId: string): Pending {
    let pending = traces.get(traceId)
    if (pending === undefined) {
      pending = { open: 0, spans: [], dropped: 0, timer: undefined }
      traces.set(traceId, pending)
      const [oldest] = traces.keys()
      if (traces.size > MAX_TRACES && oldest !== undefined) print(oldest)
    }
    return pending
  }

  // Together, when there are several: a link then shows the name of the span that it leads to.
  function print(...traceIds: string[]): void {
    const spans: ReadableSpan[] = []
    let dropped = 0
    for (const traceId of traceIds) {
      const pending = traces.get(traceId)
      if (pending === undefined) continue
      traces.delete(traceId)
      clearTimeout(pending.timer)
      spans.push(...pending.spans)
      dropped += pending.dropped
    }
    if (spans.length === 0) return
    const more = dropped === 0 ? '' : `… ${dropped} more spans were not kept\n`
    failed += dropped
    guard('sdk', 'console', () =>
      write(`${waterfall(spans, { colour: isColourful(out), width: out.columns })}\n${more}\n`, spans.length),
    )
  }

  // A terminal that was closed, a pipe that nobody reads any more: unheard, the error would end the process.
  function write(text: string, spans: number): void {
    if (writing++ === 0) out.on('error', unheard)
    delivered += spans
    out.write(text, (error) => {
      if (error) giveUp(spans, error)
      // The stream says it once more, as an event, after this.
      setImmediate(() => --writing === 0 && out.off('error', unheard))
    })
  }

  function giveUp(spans: number, error: Error): void {
    delivered -= spans
    failed += spans
    lastError = error.message
    fault('sdk', 'console', error)
  }

  const printAll = (): void => print(...traces.keys())

  const processor: SpanProcessor = {
    onStart(span) {
      const pending = pendingOf(span.spanContext().traceId)
      clearTimeout(pending.timer)
      pending.open++
    },
    onEnd(span) {
      const { traceId, traceFlags } = span.spanContext()
      const pending = pendingOf(traceId)
      pending.open = Math.max(0, pending.open - 1)
      if ((traceFlags & SAMPLED) !== 0) {
        if (pending.spans.length < MAX_SPANS) pending.spans.push(span)
        else pending.dropped++
      }
      if (pending.open === 0) pending.timer = setTimeout(print, QUIET_MS, traceId).unref()
    },
    forceFlush: async () => printAll(),
    shutdown: async () => printAll(),
  }
  return {
    processor,
    status: () => ({ name: 'console', signal: 'traces', target: 'stderr', delivered, failed, lastError }),
    settled: async () => true,
    release: () => {},
  }
}

const SAMPLED = 1
