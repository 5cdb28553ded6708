// watch(): what no single task can see, looked at on a timer and kept for a scrape, a log line and `/ready`.
import { createContextKey, ROOT_CONTEXT } from '@opentelemetry/api'
import { notify } from '../kernel/compose.ts'
import { guard } from '../kernel/faults.ts'
import { NO_TASK, runInScope } from '../kernel/scope.ts'
import { MAX_TIMER_MS } from '../kernel/within.ts'
import type { BrokerState } from './broker.ts'
import { Board, gauges } from './gauges.ts'
import { Lookout, type Tell } from './lookout.ts'
import { checkWatchOptions, type WatchOptions } from './options.ts'
import { ProcessWatch, processReadings } from './process.ts'
import { type Snapshot, snapshot } from './snapshot.ts'
import type { QueueState, Source } from './source.ts'
import { type Sources, sources } from './sources.ts'
import { StillRunning } from './still-running.ts'

export type { BrokerState } from './broker.ts'
export type { BackendJob, BullmqQueue, QueueBackend } from './bullmq-queue.ts'
export type { BullmqWorker, WorkerSnapshot } from './bullmq-workers.ts'
export type { RabbitMqOptions, WatchedTelemetry, WatchOptions } from './options.ts'
export type { ProcessSnapshot } from './process.ts'
export type { RabbitMqChannel, RabbitMqConnection } from './rabbitmq.ts'
export type { ConnectionSnapshot, QueueSnapshot, ScheduleSnapshot, Snapshot } from './snapshot.ts'
export type { DepthState, QueueState } from './source.ts'

/** A running watch. None of its promises ever rejects. */
export interface Watch extends AsyncDisposable {
  /** What was seen last. It reads memory only, so a scrape or a page may call it as often as it likes. */
  snapshot(): Snapshot
  /** Looks now, out of turn. Resolves when every broker has answered or failed, after 5 s at most. */
  sample(): Promise<void>
  /** With `ready: true`: why this process should be given no work, while a worker of it is stuck. Else undefined. */
  ready(): string | undefined
  /** Ends the timer, closes what it opened, and takes its gauges away. */
  close(): Promise<void>
}

const DEFAULT_INTERVAL_MS = 15_000
const STALE_AFTER_INTERVALS = 3
const SAMPLE_WITHIN_MS = 5_000
const CLOSE_WITHIN_MS = 2_000

/**
 * Watches queues, brokers, schedules and workers, on a timer of its own that keeps no process alive. It takes and writes
 * nothing, survives a broker that is down, and shows no series for what a broker cannot tell.
 *
 * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`, `METRIC_NAME_TAKEN`
 * @example
 * const w = watch({ telemetry: t, workers: [worker], queues: [emails], rabbitmq: { connection: url, queues: ['orders'] } })
 */
export function watch(options: WatchOptions): Watch {
  checkWatchOptions(options)
  const { telemetry, intervalMs = DEFAULT_INTERVAL_MS, stuckAfterMs = 60_000, stillRunningAfterMs = 60_000 } = options
  const shown = telemetry.registry === undefined ? undefined : gauges(telemetry.registry, telemetry.prefix)
  const tell: Tell = (event) => notify(telemetry, event)
  const seen = sources(options, { gauges: shown, tell, stuckAfterMs })
  const lookout = <State>(source: Source<State>) => new Lookout(source, shown, tell, intervalMs * STALE_AFTER_INTERVALS)
  const queues = seen.queues.map(lookout<QueueState>)
  const brokers = seen.brokers.map(lookout<BrokerState>)
  const own = new ProcessWatch()
  const ownBoard = new Board(shown)
  const still = new StillRunning(telemetry, stillRunningAfterMs)

  function look(): Promise<unknown> {
    const looks = outside(() => {
      guard('watch', 'process', () => ownBoard.show(processReadings(own.look())))
      guard('watch', 'still_running', () => still.look())
      return [...queues, ...brokers].map((each) => guard('watch', 'look', () => each.look()))
    })
    // Whatever is wrong with one of them, nothing may be thrown or rejected in a timer of ours.
    return Promise.allSettled(looks)
  }

  const timer = setInterval(look, Math.min(intervalMs, MAX_TIMER_MS))
  timer.unref()
  look()

  let closing: Promise<void> | undefined
  async function end(): Promise<void> {
    clearInterval(timer)
    for (const each of [...queues, ...brokers]) each.close()
    own.close()
    ownBoard.clear()
    await within(CLOSE_WITHIN_MS, seen.close())
  }
  const close = (): Promise<void> => {
    closing ??= end()
    return closing
  }

  return {
    snapshot: () => snapshot({ queues, connections: brokers, workers: seen.workers, process: own, telemetry }),
    sample: () => (closing === undefined ? within(SAMPLE_WITHIN_MS, look()) : Promise.resolve()),
    ready: () => (options.ready === true ? whyNotReady(seen.workers) : undefined),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function whyNotReady(workers: Sources['workers']): string | undefined {
  const stuck = workers.flatMap((each) => each.snapshots()).find((each) => each.stuck)
  return (
    stuck && `the worker of the queue '${stuck.queue}' could take messages, and has taken none for ${stuck.idleMs} ms`
  )
}

// The mark by which OpenTelemetry's instrumentations know that a call is telemetry's own and makes no span.
const QUIET = ROOT_CONTEXT.setValue(createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING'), true)

/** Outside of whatever task or request happened to call. */
function outside<T>(fn: () => T): T {
  return runInScope(NO_TASK, fn, QUIET)
}

async function within(ms: number, done: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  await Promise.race([done, patience])
  clearTimeout(timer)
}
