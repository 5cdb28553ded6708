// Where spans go: OTEL_TRACES_EXPORTER names it, or an endpoint implies it, or the terminal shows it.
import { TraceFlags } from '@opentelemetry/api'
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace-node'
import { batchLimits, bounded } from './batches.ts'
import { waterfallProcessor } from './console.ts'
import { env, list } from './environment.ts'
import { type Delivery, type Otlp, otlp } from './otlp.ts'
import type { Problems } from './problems.ts'

export interface Destination extends Delivery {
  readonly processor: SpanProcessor
}

type SdkPackage = typeof import('@opentelemetry/sdk-trace-node')

export function destinations(sdk: SdkPackage, problems: Problems): Destination[] {
  const names = list('OTEL_TRACES_EXPORTER') ?? [hasEndpoint() ? 'otlp' : 'console']
  if (names.includes('none')) return []
  return names.flatMap((name) => {
    try {
      if (name === 'otlp') {
        const { exporter, overflow, ...delivery } = otlp<ReadableSpan>('traces', problems)
        return [{ processor: batches(sdk, exporter, overflow), ...delivery }]
      }
      if (name === 'console') return [waterfallProcessor()]
      throw new Error('start() knows otlp, console and none')
    } catch (error) {
      problems.add('exporter', `no spans go to '${name}': ${(error as Error).message}`)
      return []
    }
  })
}

/** The SDK's batches, which are given no more than they hold. */
function batches(
  sdk: SdkPackage,
  exporter: Otlp<ReadableSpan>['exporter'],
  overflow: Otlp<ReadableSpan>['overflow'],
): SpanProcessor {
  const limits = batchLimits('traces')
  const queue = bounded(exporter, limits)
  const processor = new sdk.BatchSpanProcessor(queue.exporter, { ...limits })
  let isOpen = true
  return {
    onStart() {},
    onEnd(span) {
      if (!isOpen || (span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0) return
      if (queue.isFull()) return overflow(limits.maxQueueSize)
      queue.add()
      processor.onEnd(span)
    },
    forceFlush: () => processor.forceFlush(),
    shutdown() {
      isOpen = false
      return processor.shutdown()
    },
  }
}

function hasEndpoint(): boolean {
  return (env('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? env('OTEL_EXPORTER_OTLP_ENDPOINT')) !== undefined
}
