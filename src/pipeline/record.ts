// A finished step as a string: checked when it is written, so that a resume never meets what cannot be restored.
import { isSpanContextValid, type SpanContext } from '@opentelemetry/api'
import { TaskspanError } from '../kernel/errors.ts'
import type { StepState } from './report.ts'

/** A finished step of an earlier run. */
export interface KeptStep {
  readonly run: string
  readonly print: string
  readonly input: string
  /** `failure` only for an optional step: it is settled, its dependants have seen `undefined`. */
  readonly status: 'success' | 'skipped' | 'failure'
  readonly output: unknown
  readonly reason: string | undefined
  /** The span that did the work. */
  readonly span: SpanContext | undefined
}

/** Of one output, as JSON. */
export const MAX_OUTPUT = 65_536

const VERSION = 1

export function writeRecord(
  run: string,
  print: string,
  input: string,
  state: StepState,
  json: string | undefined,
): string {
  const { status, reason, span } = state
  const trace = span && [span.traceId, span.spanId, span.traceFlags]
  const head = JSON.stringify({
    v: VERSION,
    run,
    print,
    input,
    status: status === 'timeout' ? 'failure' : status,
    reason,
    trace,
  })
  return json === undefined ? head : `${head.slice(0, -1)},"output":${json}}`
}

/** Undefined when it is not a record of ours: foreign, damaged, or of another version. */
export function readRecord(text: unknown): KeptStep | undefined {
  try {
    const { v, run, print, input, status, reason, trace, output } = JSON.parse(text as string) as Record<
      string,
      unknown
    >
    if (v !== VERSION || typeof run !== 'string' || typeof print !== 'string' || typeof input !== 'string')
      return undefined
    if (status !== 'success' && status !== 'skipped' && status !== 'failure') return undefined
    if (reason !== undefined && typeof reason !== 'string') return undefined
    return { run, print, input, status, output, reason, span: readTrace(trace) }
  } catch {
    return undefined
  }
}

function readTrace(trace: unknown): SpanContext | undefined {
  if (!Array.isArray(trace)) return undefined
  const [traceId, spanId, traceFlags] = trace as unknown[]
  if (typeof traceId !== 'string' || typeof spanId !== 'string' || typeof traceFlags !== 'number') return undefined
  const span = { traceId, spanId, traceFlags, isRemote: true }
  return isSpanContextValid(span) ? span : undefined // a backend refuses all that is sent with one of a wrong form
}

/**
 * An output as JSON, undefined for none.
 *
 * @throws {TaskspanError} `INVALID_OUTPUT` when JSON would lose or change something, or it is too large
 */
export function encodeOutput(pipeline: string, step: string, output: unknown): string | undefined {
  if (output === undefined) return undefined
  const refuse = (why: string, cause?: unknown): TaskspanError => {
    const what = `pipeline '${pipeline}': step '${step}' returned what a checkpoint cannot keep: ${why}.`
    return new TaskspanError('INVALID_OUTPUT', what, { cause })
  }
  let json: string
  try {
    json = JSON.stringify(output, function (this: Record<string, unknown>, key: string, shown: unknown) {
      const lost = whatIsLost(this[key], Array.isArray(this))
      if (lost !== undefined) throw refuse(`${key === '' ? 'it' : `'${key.slice(0, 64)}'`} is ${lost}`)
      return shown
    })
  } catch (error) {
    // Besides our own: a cycle, a nesting too deep, a getter that throws.
    throw error instanceof TaskspanError ? error : refuse('it does not serialise', error)
  }
  const size = Buffer.byteLength(json)
  if (size > MAX_OUTPUT) throw refuse(`it is ${size} bytes of JSON, over ${MAX_OUTPUT}`)
  return json
}

function whatIsLost(value: unknown, inArray: boolean): string | undefined {
  switch (typeof value) {
    case 'undefined':
      return inArray ? 'undefined in a list' : undefined
    case 'number':
      return Number.isFinite(value) ? undefined : String(value)
    case 'object': {
      if (value === null || Array.isArray(value)) return undefined
      const prototype: unknown = Object.getPrototypeOf(value)
      if (prototype === Object.prototype || prototype === null)
        return 'toJSON' in value ? 'an object with toJSON()' : undefined
      return `a ${value.constructor?.name ?? 'class instance'}`
    }
    case 'string':
    case 'boolean':
      return undefined
    default:
      return `a ${typeof value}`
  }
}
