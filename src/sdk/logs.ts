// Log lines over OTLP, when asked: each line of our loggers, as it is written, joined to its trace. It goes to stdout as ever.
import { type Context, context } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs'
import { fault } from '../kernel/faults.ts'
import { shared } from '../kernel/shared.ts'
import { VERSION } from '../kernel/version.ts'
import { batchLimits, bounded } from './batches.ts'
import { list } from './environment.ts'
import type { StartOptions } from './face.ts'
import { recordOf } from './log-record.ts'
import { type Delivery, isSending, otlp } from './otlp.ts'
import { load } from './packages.ts'
import type { Problems } from './problems.ts'

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
    const limits = batchLimits('logs')
    const queue = bounded(exporter, limits)
    const processors = [new BatchLogRecordProcessor({ exporter: queue.exporter, ...limits })]
    const provider = new LoggerProvider({ resource, processors })
    const logger = provider.getLogger('taskspan', VERSION)
    const off = onLine((line, active) => {
      if (queue.isFull()) return fault('sdk', 'log_dropped')
      const record = recordOf(line, active)
      if (record === undefined) return fault('sdk', 'log_unreadable')
      queue.add()
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
