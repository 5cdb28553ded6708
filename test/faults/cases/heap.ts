// How much is kept: the heap after a collection, and a span processor that keeps nothing itself.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { trace } from '@opentelemetry/api'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What is in use in bytes once nothing more can be collected. */
export async function heapUsed(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let n = 0; n < 2; n++) {
    // What was freed in this turn, and what finalizers then let go of.
    await new Promise((resolve) => setTimeout(resolve, 20))
    collect()
    least = Math.min(least, process.memoryUsage().heapUsed)
  }
  return least
}

export const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`

/** Takes the place of the recorder of spans, which keeps them all. */
export function keepNoSpans(): void {
  const nothing = { onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} }
  trace.disable()
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [nothing] }))
}
