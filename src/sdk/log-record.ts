// A line as pino wrote it -> a log record of OpenTelemetry: body, severity, time, trace, and everything else as attributes.
import { type Context, isValidSpanId, isValidTraceId, ROOT_CONTEXT, TraceFlags, trace } from '@opentelemetry/api'
import type { LoggerProvider } from '@opentelemetry/sdk-logs'
import { ATTR } from '../kernel/names.ts'

type LogRecord = Parameters<ReturnType<LoggerProvider['getLogger']>['emit']>[0]

/** The first number of each range of the standard. */
const SEVERITIES: Readonly<Record<string, number>> = {
  ...{ trace: 1, debug: 5, info: 9, warn: 13, warning: 13, error: 17, fatal: 21, critical: 21 },
  ...{ 10: 1, 20: 5, 30: 9, 40: 13, 50: 17, 60: 21 },
}

const MAX_LINE = 64 * 1_024

/** Undefined for what is no line of JSON, or too long to be sent. */
export function recordOf(line: string, active: Context): LogRecord | undefined {
  if (line.length > MAX_LINE) return undefined
  const fields = parse(line)
  if (fields === undefined) return undefined
  // What says who wrote it stands in the resource.
  const { level, time, timestamp, message, msg, trace_id, span_id, error, err, ...rest } = fields
  for (const key of ['service', 'environment', 'pid', 'hostname', 'v']) delete rest[key]
  const at = new Date((timestamp ?? time ?? Date.now()) as string | number)
  return {
    timestamp: Number.isNaN(at.getTime()) ? new Date() : at,
    severityNumber: SEVERITIES[String(level)] ?? 0,
    severityText: String(level ?? ''),
    body: String(message ?? msg ?? ''),
    attributes: { ...rest, ...exception(error ?? err) } as NonNullable<LogRecord['attributes']>,
    context: contextOf(trace_id, span_id, active),
  }
}

/** Of the line itself: a line about a task may be written outside of it. */
function contextOf(traceId: unknown, spanId: unknown, active: Context): Context {
  if (typeof traceId !== 'string' || !isValidTraceId(traceId)) return ROOT_CONTEXT
  const known = trace.getSpanContext(active)
  if (known?.traceId === traceId && known.spanId === spanId) return active
  if (typeof spanId !== 'string' || !isValidSpanId(spanId)) return ROOT_CONTEXT
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED })
}

function exception(error: unknown): Readonly<Record<string, unknown>> {
  if (typeof error !== 'object' || error === null) return error === undefined ? {} : { error }
  const { type, message, stack, ...more } = error as Readonly<Record<string, unknown>>
  return {
    ...{ [ATTR.exceptionType]: type, [ATTR.exceptionMessage]: message, [ATTR.exceptionStack]: stack },
    ...(Object.keys(more).length > 0 && { error: more }),
  }
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
