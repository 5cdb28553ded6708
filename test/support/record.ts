// One recorder of everything that telemetry leaves behind, and a `telemetry()` that writes into it.
import { context, propagation, trace } from '@opentelemetry/api'
import { type Telemetry, type TelemetryOptions, telemetry } from 'taskspan/telemetry'
import {
  type LogRecorder,
  type MetricRecorder,
  recordLogs,
  recordMetrics,
  recordSpans,
  type SpanRecorder,
} from 'taskspan/testing'
import { onTestFinished } from 'vitest'

export interface Recorded {
  readonly spans: SpanRecorder
  readonly metrics: MetricRecorder
  readonly logs: LogRecorder
  readonly t: Telemetry
  /** Faults counted since the recorder was made, over all parts and reasons. */
  faults(): Promise<number>
}

/** Records until the test ends. Call it once per test, before anything is sent or consumed. */
export async function record(options: TelemetryOptions = {}): Promise<Recorded> {
  const spans = recordSpans()
  onTestFinished(async () => {
    await spans.close()
    // Also whatever a test put in its place.
    trace.disable()
    context.disable()
    propagation.disable()
  })
  const metrics = recordMetrics()
  const logs = recordLogs()
  const t = telemetry({ registry: metrics.registry, logger: logs.logger, ...options })
  const count = async () => (await metrics.value('taskiq_telemetry_errors_total')) ?? 0
  const before = await count()
  return { spans, metrics, logs, t, faults: async () => (await count()) - before }
}
