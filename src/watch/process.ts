// The process itself: how late its event loop is, how much CPU it used, how much memory it has and may have.
import { totalmem } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { cpuLimit } from './cpu-limit.ts'
import type { Reading } from './gauges.ts'

export interface ProcessSnapshot {
  /** User and system time since the process began. */
  readonly cpuSeconds: number
  /** In cores: the container's limit, or all that there are. */
  readonly cpuLimitCores: number
  readonly residentBytes: number
  readonly heapUsedBytes: number
  /** The container's limit; undefined where there is none. */
  readonly memoryLimitBytes: number | undefined
  /** How late timers ran since the sample before, in ms; undefined before the first sample. */
  readonly eventLoopLagMs: { readonly p50: number; readonly p99: number; readonly max: number } | undefined
}

const RESOLUTION_MS = 20

export class ProcessWatch {
  private readonly delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  private lag: ProcessSnapshot['eventLoopLagMs']

  constructor() {
    this.delay.enable()
  }

  look(): ProcessSnapshot {
    if (this.delay.count > 0) {
      this.lag = {
        p50: late(this.delay.percentile(50)),
        p99: late(this.delay.percentile(99)),
        max: late(this.delay.max),
      }
      this.delay.reset()
    }
    return this.snapshot()
  }

  snapshot(): ProcessSnapshot {
    const { rss, heapUsed } = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    const limit = process.constrainedMemory()
    // Without a limit it is 0, or more than the machine has.
    const memoryLimitBytes = limit > 0 && limit < totalmem() ? limit : undefined
    return {
      cpuSeconds: (user + system) / 1e6,
      cpuLimitCores: cpuLimit(),
      ...{ residentBytes: rss, heapUsedBytes: heapUsed, memoryLimitBytes, eventLoopLagMs: this.lag },
    }
  }

  close(): void {
    this.delay.disable()
  }
}

// The histogram holds the time between two of its ticks, so an idle loop measures its resolution.
function late(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
}

export function processReadings(snapshot: ProcessSnapshot): Reading[] {
  const { cpuSeconds, cpuLimitCores, residentBytes, heapUsedBytes, memoryLimitBytes, eventLoopLagMs: lag } = snapshot
  return [
    ['cpu', [], cpuSeconds],
    ['cpuLimit', [], cpuLimitCores],
    ['residentMemory', [], residentBytes],
    ['heapUsed', [], heapUsedBytes],
    ['memoryLimit', [], memoryLimitBytes],
    ['eventLoopLag', ['0.5'], lag && lag.p50 / 1000],
    ['eventLoopLag', ['0.99'], lag && lag.p99 / 1000],
    ['eventLoopLag', ['1'], lag && lag.max / 1000],
  ]
}
