// The workers of a cluster count, their primary shows: one /metrics for all of them.
import { notify } from '../kernel/compose.ts'
import { atLeast, checkOptions, show, TaskspanError } from '../kernel/errors.ts'
import { guard } from '../kernel/faults.ts'
import { receive } from '../kernel/report/receive.ts'
import { MAX_TIMER_MS } from '../kernel/within.ts'
import { instrumentsOf } from '../middleware/metrics/registry.ts'
import type { Telemetry } from '../telemetry.ts'
import { channel, isConnected } from './channel.ts'
import { Post } from './post.ts'

export interface ReportMetricsOptions {
  /** How often the primary is told, in ms. Default 1,000. */
  readonly intervalMs?: number | undefined
}

/** Ends it; of what was counted nothing is lost. Fits `sdk.close({ last: [report] })`. */
export interface Reporting extends AsyncDisposable {
  close(): Promise<void>
}

/**
 * Tells the primary what this worker of a `node:cluster` has counted, at each interval and when it is closed. What was told
 * is the primary's to show: this process's own registry starts again from nothing. A process without a parent, or that was
 * disconnected from it, keeps its numbers and does nothing. Spans and log lines need no such thing: each process exports and
 * writes its own.
 *
 * @param t the telemetry whose metrics are told
 * @throws {TaskspanError} `UNKNOWN_OPTION`, `INVALID_OPTION`
 * @example
 * const t = telemetry()
 * if (cluster.isPrimary) collectMetrics(t, cluster)
 * else reportMetrics(t)
 */
export function reportMetrics(t: Telemetry, options: ReportMetricsOptions = {}): Reporting {
  checkTelemetry('reportMetrics', t)
  checkOptions('reportMetrics', options, { intervalMs: atLeast(100) })
  const send = channel()
  const instruments = t.registry && instrumentsOf(t.registry, t.prefix)
  if (send === undefined || instruments === undefined) return reporting(async () => {})
  const post = new Post({ send, instruments, gauges: true })
  // What is told is forgotten here: without anybody who hears it, this process keeps its numbers.
  const tell = (): void => void (isConnected() && guard('processes', 'report', () => post.flush()))
  const timer = setInterval(tell, Math.min(options.intervalMs ?? 1_000, MAX_TIMER_MS))
  timer.unref()
  return reporting(async () => {
    clearInterval(timer)
    if (isConnected()) await guard('processes', 'report', () => post.last())
  })
}

/** `cluster` of `node:cluster`. */
export interface ClusterOf<Worker extends object> {
  on(event: 'message' | 'exit', listener: (worker: Worker, message: unknown) => void): unknown
  off(event: 'message' | 'exit', listener: (worker: Worker, message: unknown) => void): unknown
}

/**
 * Adds what the workers of a cluster tell to this process's own metrics, for one `/metrics` in the primary. Counters and
 * histograms add up and never go back, whatever becomes of a worker; gauges are those of the workers that live. The caps on
 * label values hold here as they do in one process.
 *
 * @param t the telemetry of the primary
 * @param cluster the one of `node:cluster`
 * @throws {TaskspanError} `INVALID_OPTION`
 * @example
 * collectMetrics(t, cluster)
 * await serve({ telemetry: t })
 */
export function collectMetrics<Worker extends object>(t: Telemetry, cluster: ClusterOf<Worker>): Reporting {
  checkTelemetry('collectMetrics', t)
  if (typeof cluster?.on !== 'function' || typeof cluster.off !== 'function') {
    throw new TaskspanError('INVALID_OPTION', `collectMetrics: pass the cluster of node:cluster, got ${show(cluster)}.`)
  }
  const dead = new WeakSet<Worker>()
  const told = (worker: Worker, message: unknown): void => {
    receive(message, worker, t)
    if (dead.has(worker)) gone(worker) // its last messages may come after its end
  }
  const gone = (worker: Worker): void => {
    const nothing = { spans: [], lines: [], changes: [], overflows: [] }
    dead.add(worker)
    notify(t, { kind: 'reported', report: { ...nothing, gauges: [], from: worker } })
  }
  cluster.on('message', told)
  cluster.on('exit', gone)
  return reporting(async () => {
    cluster.off('message', told)
    cluster.off('exit', gone)
  })
}

function checkTelemetry(where: string, t: Telemetry): void {
  if (typeof t === 'function' && 'prefix' in t) return
  throw new TaskspanError('INVALID_OPTION', `${where}: pass what telemetry() gave, got ${show(t)}.`)
}

function reporting(end: () => Promise<void>): Reporting {
  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= end()
    return closing
  }
  return { close, [Symbol.asyncDispose]: close }
}
