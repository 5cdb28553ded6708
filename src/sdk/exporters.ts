// Where spans go: OTEL_TRACES_EXPORTER names it, or an endpoint implies it, or the terminal shows it.
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace-node'
import { waterfallProcessor } from './console.ts'
import { env, list } from './environment.ts'
import { type Delivery, otlp } from './otlp.ts'
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
        const { exporter, ...delivery } = otlp<ReadableSpan>('traces', problems)
        return [{ processor: new sdk.BatchSpanProcessor(exporter), ...delivery }]
      }
      if (name === 'console') return [waterfallProcessor()]
      throw new Error('start() knows otlp, console and none')
    } catch (error) {
      problems.add('exporter', `no spans go to '${name}': ${(error as Error).message}`)
      return []
    }
  })
}

function hasEndpoint(): boolean {
  return (env('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? env('OTEL_EXPORTER_OTLP_ENDPOINT')) !== undefined
}
