// Spans made by hand, in three categories with fixed names: own services, services of others, events to browsers.
import type { AttributeValue, Span } from '@opentelemetry/api'
import { call } from './kernel/call.ts'
import { notify } from './kernel/compose.ts'
import { fault, guard } from './kernel/faults.ts'
import { currentScope } from './kernel/scope.ts'
import type { Middleware } from './kernel/task.ts'
import { tracing } from './middleware/tracing.ts'
import { type Named, type ServiceName, serviceName, word } from './spans/names.ts'

export type { Named, ServiceName }

/** Keys that say what a call was about: `user_id`, `clip_file_uuid`, `id`, or OpenTelemetry's `user.id`. */
export type IdentifierKey = 'id' | 'uuid' | `${string}${'_' | '.'}${'id' | 'uuid'}`

/** Span attributes; `undefined` means unset. */
export type SpanAttributes<A> = { readonly [K in keyof A]: AttributeValue | undefined }

/** Attributes of which at least one is an identifier that is always there. */
export type Identified<A> = {
  [K in keyof A]-?: K extends IdentifierKey ? (undefined extends A[K] ? never : K) : never
}[keyof A] extends never
  ? { readonly 'give at least one identifier, such as user_id or clip_file_uuid': never }
  : unknown

/**
 * A span `<module>.<method>` around a call of a service of your own, timed in `taskiq_service_duration_seconds`.
 *
 * Inside a task it is seen by the task's telemetry, elsewhere by the last `telemetry()` of the process; where there is
 * none it is a span alone. A promise is followed to its end; what starts only when it is awaited (a query builder) is
 * awaited inside `fn`.
 *
 * @param attributes at least one identifier among them; values that are known only later are set on the span
 * @param fn gets the span; runs exactly once
 * @returns what `fn` returns; what it throws is thrown
 * @example
 * const left = await service('credits.reserve', { user_id: user.id }, async (span) => {
 *   const reserved = await credits.reserve(user, 5)
 *   span.setAttribute('reserved', reserved.count)
 *   return reserved.left
 * })
 */
export function service<const N extends string, A extends SpanAttributes<A>, T>(
  name: N & ServiceName<N>,
  attributes: A & Identified<A>,
  fn: (span: Span) => T,
): T {
  return call('service', { name: serviceName(name), queue: '', attributes: copy(attributes) }, spansAlone, fn)
}

/**
 * A CLIENT span `ext.<service>.<op>` around a call to a service that is not yours, timed in
 * `taskiq_ext_duration_seconds`; a failure writes the line `ext.failed`.
 *
 * @param attributes at least one identifier among them
 * @param fn gets the span; runs exactly once; may tell what the call has used with {@link usage}. Await in here what
 *   starts only when it is awaited (a query builder)
 * @returns what `fn` returns; what it throws is thrown
 * @example
 * await ext('whisper', 'transcribe', { clip_file_uuid }, async () => {
 *   const { text, seconds } = await whisper.transcribe(file)
 *   usage({ gpu_seconds: seconds })
 *   return text
 * })
 */
export function ext<const S extends string, const O extends string, A extends SpanAttributes<A>, T>(
  service: S & Named<S>,
  op: O & Named<O>,
  attributes: A & Identified<A>,
  fn: (span: Span) => T,
): T {
  return call('ext', { name: word(op), queue: word(service), attributes: copy(attributes) }, spansAlone, fn)
}

/**
 * A PRODUCER span `sse.<event>` around sending server-sent events.
 *
 * @param fn gets the span; runs exactly once
 * @returns what `fn` returns; what it throws is thrown
 * @example
 * await sse('publish', { channel: 'renders' }, () => stream.send({ percent: 40 }))
 */
export function sse<const E extends string, A extends SpanAttributes<A>, T>(
  event: E & Named<E>,
  attributes: A,
  fn: (span: Span) => T,
): T {
  return call('sse', { name: word(event), queue: '', attributes: copy(attributes) }, spansAlone, fn)
}

/**
 * Says what the `ext()` call around it has used; adds to `taskiq_ext_usage_total` under the call's service, operation and
 * each key as the unit. Outside of `ext()` it is counted as a fault and otherwise ignored.
 *
 * @param amounts up to 20 finite numbers of at least 0; `undefined` means unknown and adds nothing
 * @example
 * usage({ input_tokens: reply.usage?.input_tokens, gpu_seconds: 1.5 })
 */
export function usage(amounts: Readonly<Record<string, number | undefined>>): void {
  guard('spans', 'usage', () => {
    const task = currentScope()?.call
    if (task?.onion === undefined) return fault('spans', 'usage_outside_ext')
    const known: Record<string, number> = {}
    const entries = Object.entries(amounts)
    if (entries.length > MAX_UNITS) fault('spans', 'usage_units', new RangeError(`usage: more than ${MAX_UNITS} units`))
    for (const [unit, amount] of entries.slice(0, MAX_UNITS)) {
      if (amount === undefined) continue
      if (Number.isFinite(amount) && amount >= 0) known[word(unit)] = amount
      else fault('spans', 'usage_amount', new TypeError(`usage: '${unit}' is ${String(amount)}`))
    }
    notify(task.onion, { kind: 'usage', task, amounts: known })
  })
}

const MAX_UNITS = 20

// As senders do: a process without telemetry() still wants the span, if it has an SDK.
let alone: Middleware | undefined
function spansAlone(): Middleware {
  alone ??= tracing()
  return alone
}

// A getter of the caller's that throws is not to be met again, outside of what guards against it.
function copy(attributes: object): Record<string, AttributeValue> {
  return guard('spans', 'attributes', () => ({ ...attributes }) as Record<string, AttributeValue>) ?? {}
}
