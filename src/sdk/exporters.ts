// Where spans go: OTEL_TRACES_EXPORTER names it, or an endpoint implies it, or the terminal shows it.
import type { SpanProcessor } from '@opentelemetry/sdk-trace-node'
import { waterfallProcessor } from './console.ts'
import { env, list } from './environment.ts'
import type { DestinationStatus } from './face.ts'
import { otlp } from './otlp.ts'
import type { Problems } from './problems.ts'

export interface Destination {
  readonly processor: SpanProcessor
  status(): DestinationStatus
  /** Resolves when nothing is on its way any more, with whether all of it arrived. Never rejects. */
  settled(): Promise<boolean>
  /** Gives up what is on its way. */
  release(): void
}

type SdkPackage = typeof import('@opentelemetry/sdk-trace-node')

export function destinations(sdk: SdkPackage, problems: Problems): Destination[] {
  const names = list('OTEL_TRACES_EXPORTER') ?? [hasEndpoint() ? 'otlp' : 'console']
  if (names.includes('none')) return []
  return names.flatMap((name) => {
    try {
      if (name === 'otlp') return [otlp(sdk, problems)]
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
