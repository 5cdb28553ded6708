// What watch() looks at, and one queue as a broker shows it.
import type { Reading } from './gauges.ts'

/** Something that is asked at each interval. */
export interface Source<State = unknown> {
  readonly system: 'bullmq' | 'rabbitmq' | 'redis'
  /** What it is about, as in the labels; one of the two. */
  readonly queue?: string | undefined
  readonly broker?: string | undefined
  /** A second way to ask about the same queue, which may fail by itself. */
  readonly part?: 'management' | undefined
  /** Asks the broker. May reject, and with a client that waits for its broker it may not settle for a long time. */
  look(): Promise<State>
  readings(state: State): Iterable<Reading>
  /** Its user has closed it: not a fault, so nothing is said. */
  ended?(): boolean
  /** Too old to be believed: whatever is kept between two looks starts anew. */
  forget?(): void
}

export type DepthState =
  | 'waiting'
  | 'prioritized'
  | 'active'
  | 'delayed'
  | 'waiting_children'
  | 'paused'
  | 'failed'
  | 'unacked'

/** A queue at one moment. What its broker cannot tell is left out. */
export interface QueueState {
  readonly depth?: Readonly<Partial<Record<DepthState, number>>> | undefined
  /** Messages ready, by the priorities given to `watch()`, or by those that RabbitMQ tells. */
  readonly priorities?: Readonly<Record<string, number>> | undefined
  /** How long the next message has been ready, in ms. */
  readonly oldestAgeMs?: number | undefined
  readonly consumers?: number | undefined
  readonly paused?: boolean | undefined
  /** Messages are ready, somebody should be free to take them, and nobody does. */
  readonly stuck?: boolean | undefined
}

export function queueReadings(queue: string, state: QueueState): Reading[] {
  const { depth = {}, priorities = {}, oldestAgeMs, consumers, paused, stuck } = state
  return [
    ...Object.entries(depth).map(([name, count]): Reading => ['queueDepth', [queue, name], count]),
    ...Object.entries(priorities).map(([level, count]): Reading => ['priorityDepth', [queue, level], count]),
    ['oldestAge', [queue], oldestAgeMs === undefined ? undefined : oldestAgeMs / 1000],
    ['consumers', [queue], consumers],
    ['queuePaused', [queue], asNumber(paused)],
    ['workerStuck', [queue], asNumber(stuck)],
  ]
}

export function asNumber(flag: boolean | undefined): number | undefined {
  return flag === undefined ? undefined : Number(flag)
}
