// Everything that was seen last, as one object for a page or a program.
import type { Registry } from 'prom-client'
import { guard } from '../kernel/faults.ts'
import type { Values } from '../middleware/metrics/instruments.ts'
import { instrumentsOf } from '../middleware/metrics/registry.ts'
import type { BrokerState } from './broker.ts'
import type { WorkerSnapshot, Workers } from './bullmq-workers.ts'
import type { Lookout } from './lookout.ts'
import type { ProcessSnapshot, ProcessWatch } from './process.ts'
import type { QueueState } from './source.ts'

interface Looked {
  /** When it was last seen, in ms since the epoch; undefined when never. */
  readonly sampledAt: number | undefined
  /** What was seen is too old to be shown, so it is not. */
  readonly stale: boolean
  /** Since when it is stale, or is seen, in ms since the epoch. */
  readonly since: number
}

export interface QueueSnapshot extends Looked, QueueState {
  readonly queue: string
  readonly system: string
}

/** A broker as this process reaches it. */
export interface ConnectionSnapshot extends Looked, BrokerState {
  /** Its address, without credentials. */
  readonly broker: string
  /** `unknown` until it has answered for the first time; `down` when what it said last is stale. */
  readonly state: 'up' | 'down' | 'unknown'
  readonly system: string
}

/** A schedule, whoever runs it: BullMQ's job schedulers, and what `cron()` wraps in this process. Times in ms since the epoch. */
export interface ScheduleSnapshot {
  readonly schedule: string
  readonly lastSuccess: number | undefined
  readonly nextRun: number | undefined
  readonly intervalMs: number | undefined
  readonly missed: number
  readonly overlapped: number
}

export interface Snapshot {
  readonly at: number
  readonly queues: readonly QueueSnapshot[]
  readonly connections: readonly ConnectionSnapshot[]
  readonly schedules: readonly ScheduleSnapshot[]
  readonly workers: readonly WorkerSnapshot[]
  readonly process: ProcessSnapshot
}

export interface Seen {
  readonly queues: readonly Lookout<QueueState>[]
  readonly connections: readonly Lookout<BrokerState>[]
  readonly workers: readonly Workers[]
  readonly process: ProcessWatch
  readonly telemetry: { readonly registry: Registry | undefined; readonly prefix: string }
}

export function snapshot({ queues, connections, workers, process, telemetry }: Seen): Snapshot {
  return {
    at: Date.now(),
    queues: merged(queues.filter((each) => !each.ended)),
    connections: connections
      .filter((each) => !each.ended)
      .map((each) => ({
        broker: each.source.broker ?? '',
        system: each.source.system,
        state: stateOf(each),
        ...looked(each),
        ...each.state,
      })),
    schedules: guard('watch', 'snapshot', () => schedules(telemetry)) ?? [],
    workers: workers.flatMap((each) => each.snapshots()),
    process: process.snapshot(),
  }
}

// What RabbitMQ's management API tells stands beside what the queue itself told.
function merged(queues: readonly Lookout<QueueState>[]): QueueSnapshot[] {
  const all = new Map<string, QueueSnapshot>()
  for (const each of queues) {
    const { queue = '', system } = each.source
    const key = `${system} ${queue}`
    const first = all.get(key)
    const depth = { ...first?.depth, ...each.state?.depth }
    const more = Object.fromEntries(Object.entries(each.state ?? {}).filter(([, value]) => value !== undefined))
    all.set(key, { queue, system, ...looked(each), ...first, ...more, depth })
  }
  return [...all.values()]
}

function stateOf({ stale, sampledAt }: Lookout<unknown>): ConnectionSnapshot['state'] {
  if (stale) return 'down'
  return sampledAt === undefined ? 'unknown' : 'up'
}

function looked({ sampledAt, stale, since }: Lookout<unknown>): Looked {
  return { sampledAt, stale, since }
}

function schedules({ registry, prefix }: Seen['telemetry']): ScheduleSnapshot[] {
  const all = registry && instrumentsOf(registry, prefix)
  if (all === undefined) return []
  const byId = (values: Values) => new Map(values.series().map(({ labels, value }) => [labels.schedule ?? '', value]))
  const next = byId(all.cronNextRun)
  const last = byId(all.cronLastSuccess)
  const interval = byId(all.cronInterval)
  const missed = byId(all.cronMissed)
  const overlapped = byId(all.cronOverlaps)
  const inMs = (seconds: number | undefined) => (seconds === undefined ? undefined : Math.round(seconds * 1000))
  return [...new Set([...next.keys(), ...last.keys()])].sort().map((schedule) => ({
    schedule,
    lastSuccess: inMs(last.get(schedule)),
    nextRun: inMs(next.get(schedule)),
    intervalMs: inMs(interval.get(schedule)),
    missed: missed.get(schedule) ?? 0,
    overlapped: overlapped.get(schedule) ?? 0,
  }))
}
