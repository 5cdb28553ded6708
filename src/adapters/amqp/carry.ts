// Publish options that carry the trace: copies with more headers. The caller's may be frozen or shared between messages.
import type { Options } from 'amqplib'
import { fault } from '../../kernel/faults.ts'
import { injectCarrier } from '../../kernel/propagation.ts'

export interface InjectOptions {
  /** The task is one run of this schedule: `task_type` is `cron` on the other side, and the run gets a trace of its own. */
  readonly schedule?: string | undefined
}

/**
 * Publish options that carry the current trace and the allowed correlation keys; makes no span (`publish()` does).
 *
 * @param options your own publish options; copied, never written to
 * @example
 * channel.publish('shop', 'orders', body, inject({ persistent: true }))
 */
export function inject<O extends Options.Publish = Options.Publish>(options?: O, extra: InjectOptions = {}): O {
  return carry(options ?? ({} as O), { ...injectCarrier(), ...scheduled(extra) })
}

export function scheduled({ schedule }: InjectOptions): Record<string, string> {
  if (schedule === undefined) return {}
  return { task_type: 'cron', schedule_id: schedule, schedule_time: new Date().toISOString() }
}

/** A copy of `options` with `headers` added; `options` itself when there is nothing to add, or it cannot be copied. */
export function carry<O extends Options.Publish | null | undefined>(options: O, headers: Record<string, string>): O {
  try {
    for (const _ in headers) return added(options, headers)
  } catch (error) {
    fault('rabbitmq', 'inject', error)
  }
  return options
}

function added<O extends Options.Publish | null | undefined>(options: O, headers: Record<string, string>): O {
  const own: unknown = options?.headers
  if (own === undefined || own === null) return Object.assign(readable(options), { headers }) as O
  if (typeof own !== 'object') return options // amqplib will say what is wrong with it
  return Object.assign(readable(options), { headers: Object.assign(copyOf(own), headers) }) as O
}

// A getter of a class may read private fields, which a copy has not: what a copy does not own is asked of its original.
function readable(options: object | null | undefined): object {
  const copy = copyOf(options)
  if (Object.getPrototypeOf(copy) === Object.prototype) return copy
  return new Proxy(copy, { get: (own, key) => Reflect.get(Object.hasOwn(own, key) ? own : (options ?? own), key) })
}

// amqplib also sends headers that are inherited, and reads options that are. Not spread but assigned: to Node 20 an object
// that was spread is slow to make and slow to read, for each message. A key named `__proto__` would be lost by that.
function copyOf(value: object | null | undefined): object {
  if (value === null || value === undefined) return {}
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) {
    return Object.hasOwn(value, '__proto__') ? { ...value } : Object.assign({}, value)
  }
  return Object.assign(Object.create(prototype as object), value) as object
}
