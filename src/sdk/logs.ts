// Log lines over OTLP, when asked: each line of our loggers, as it is written, joined to its trace. It goes to stdout as ever.
import { type Context, context } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { fault } from '../kernel/faults.ts'
import { shared } from '../kernel/shared.ts'
import { VERSION } from '../kernel/version.ts'
import { env, list } from './environment.ts'
import type { StartOptions } from './face.ts'
import { recordOf } from './log-record.ts'
import { type Delivery, isSending, otlp } from './otlp.ts'
import { load } from './packages.ts'
import type { Problems } from './problems.ts'
import { otlpEnv } from './protocol.ts'

type LogsPackage = typeof import('@opentelemetry/sdk-logs')

export interface SentLogs extends Delivery {
  flush(): Promise<void>
  shutdown(): Promise<void>
}

/** `console` is what happens anyway. */
export function logsWanted(option: StartOptions['logs'], problems: Problems): boolean {
  if (option !== undefined) return option === 'otlp'
  const names = list('OTEL_LOGS_EXPORTER') ?? []
  const unknown = names.filter((name) => !['otlp', 'console', 'none'].includes(name))
  if (unknown.length > 0)
    problems.add('exporter', `no log lines go to '${unknown}': start() knows otlp, console and none`)
  return names.includes('otlp') && !names.includes('none')
}

/** Undefined where a package is missing; that is named, and not fatal. */
export function sendLogs(resource: Resource, problems: Problems): SentLogs | undefined {
  try {
    const { BatchLogRecordProcessor, LoggerProvider } = load<LogsPackage>('@opentelemetry/sdk-logs')
    const { exporter, ...delivery } = otlp<ReadableLogRecord>('logs', problems)
    const limits = batchLimits()
    let waiting = 0
    const counted: typeof exporter = {
      ...exporter,
      export(records, done) {
        waiting -= records.length
        exporter.export(records, done)
      },
    }
    const processors = [new BatchLogRecordProcessor({ exporter: counted, ...limits })]
    const provider = new LoggerProvider({ resource, processors })
    const logger = provider.getLogger('taskspan', VERSION)
    const off = onLine((line, active) => {
      // The processor would drop it as well, and nobody would know.
      if (waiting >= limits.maxQueueSize) return fault('sdk', 'log_dropped')
      const record = recordOf(line, active)
      if (record === undefined) return fault('sdk', 'log_unreadable')
      waiting++
      logger.emit(record)
    })
    return {
      ...delivery,
      flush: () => provider.forceFlush(),
      async shutdown() {
        off()
        await provider.shutdown()
      },
    }
  } catch (error) {
    problems.add('exporter', `no log lines are sent: ${error instanceof Error ? error.message : error}`, error)
    return undefined
  }
}

/** Hands over each line from now on; never throws into who writes it. */
function onLine(take: (line: string, active: Context) => void): () => void {
  let isTaking = false
  const sink = (line: string): void => {
    const active = context.active()
    // What an exporter, or a logger of the SDK's own voice, has to say about sending would be sent, and so on without end.
    if (isTaking || isSending(active)) return
    isTaking = true
    try {
      take(line, active)
    } catch (error) {
      fault('sdk', 'log', error)
    } finally {
      isTaking = false
    }
  }
  shared.lines.add(sink)
  return () => void shared.lines.delete(sink)
}

/** The standard's variables, which this SDK leaves to who makes the processor. */
function batchLimits(): { maxQueueSize: number; [limit: string]: number } {
  const limit = (name: string, otherwise: number): number => {
    const value = Number(env(`OTEL_BLRP_${name}`))
    return Number.isInteger(value) && value > 0 ? value : otherwise
  }
  const maxQueueSize = limit('MAX_QUEUE_SIZE', 2_048)
  return {
    maxQueueSize,
    maxExportBatchSize: Math.min(limit('MAX_EXPORT_BATCH_SIZE', 512), maxQueueSize),
    scheduledDelayMillis: limit('SCHEDULE_DELAY', 1_000),
    // Never before the exporter's own time-out, of which we hear.
    exportTimeoutMillis: Math.max(
      limit('EXPORT_TIMEOUT', 30_000),
      Number(otlpEnv('logs', 'TIMEOUT') ?? 10_000) + 1_000,
    ),
  }
}
