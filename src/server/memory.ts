// /debug/memory: heap, RSS, the container's limit, and how late the event loop is.
import { totalmem } from 'node:os'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import { round } from '../kernel/round.ts'
import type { Desk, Route } from './route.ts'

const RESOLUTION_MS = 20

/** Measures from its making to its `close()`; shows how it was since it was last asked. */
export function memory({ writer }: Desk): Route & { close(): void } {
  const lag = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  lag.enable()
  return {
    answer() {
      const event_loop_lag_ms = viewLag(lag)
      lag.reset()
      const { rss, heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage()
      return writer.json({
        ...{ rss_bytes: rss, limit_bytes: memoryLimit() ?? null },
        ...{
          heap_used_bytes: heapUsed,
          heap_total_bytes: heapTotal,
          heap_limit_bytes: getHeapStatistics().heap_size_limit,
        },
        ...{ external_bytes: external, array_buffers_bytes: arrayBuffers },
        event_loop_lag_ms,
      })
    },
    close: () => lag.disable(),
  }
}

/** The container's limit in bytes; undefined where there is none. */
function memoryLimit(): number | undefined {
  const limit = process.constrainedMemory()
  return limit > 0 && limit < totalmem() ? limit : undefined
}

function viewLag(lag: IntervalHistogram): object {
  // What is recorded is the time between two looks: the lag is what that is over their distance. Nothing recorded is NaN.
  const ms = (ns: number): number => round(Math.max(0, (ns || 0) / 1e6 - RESOLUTION_MS))
  return { mean: ms(lag.mean), p50: ms(lag.percentile(50)), p99: ms(lag.percentile(99)), max: ms(lag.max) }
}
