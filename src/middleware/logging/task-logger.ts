// The logger that task code writes with: it adds the fields of whatever runs, keeps credentials to itself, and never throws.
import { type Bindings, type ChildLoggerOptions, type Logger, pino } from 'pino'
import { fault, guard } from '../../kernel/faults.ts'
import { maskUrls } from '../../kernel/outcome.ts'
import { mixin } from './fields.ts'
import { type Redact, redaction } from './redact.ts'

type Format = (object: object) => object
type Serializers = Record<string | symbol, (value: unknown) => unknown>

// What pino's loggers keep under the symbols that it publishes for extensions; what only looks like one has none of it.
interface Internals {
  child(bindings: Bindings, options: ChildLoggerOptions): Logger
  setBindings(bindings: Bindings): void
  [pino.symbols.asJsonSym](object: object, message: unknown, level: number, time: string): string
  [pino.symbols.writeSym](object: unknown, message: unknown, level: number): void
  readonly [pino.symbols.mixinSym]: unknown
  readonly [pino.symbols.formattersSym]?: { readonly log?: Format }
  readonly [pino.symbols.serializersSym]?: Serializers
}

const children = new WeakMap<Logger, Logger>()
export const defaultRedact = redaction()

/** The child of a logger that adds the current fields and redacts; one per logger and redaction, not one per task. */
export function taskLogger(parent: Logger, redact: Redact = defaultRedact): Logger {
  const known = redact === defaultRedact ? children.get(parent) : undefined
  if (known !== undefined) return known
  const internals = parent as unknown as Internals
  const own = internals[pino.symbols.serializersSym] ?? {}
  // With our mixin (`logger()`, `pino({ mixin })`) the fields are there already.
  const hasFields = internals[pino.symbols.mixinSym] === mixin

  // pino replaces a formatter of the parent's by a child's, so the user's own is called from ours.
  const safely = (format: Format | undefined): Format => {
    return (object) => {
      // A serializer makes something else of its key (a request, an error): what it has made is redacted, not the source.
      const all = hasFields ? object : Object.assign(mixin(), object)
      const line = guard('logging', 'redact', () => redact(all, own)) ?? mixin()
      return format === undefined ? line : format(line)
    }
  }
  const child = parent.child(
    {},
    { formatters: { log: safely(internals[pino.symbols.formattersSym]?.log) }, serializers: redacted(own, redact) },
  )
  if (internals[pino.symbols.serializersSym] !== undefined) harden(child, redact, safely)
  if (redact === defaultRedact) children.set(parent, child)
  return child
}

// Own methods of this one instance, which its children inherit; the logger that the user gave us stays as it is.
function harden(child: Logger, redact: Redact, safely: (format: Format | undefined) => Format): void {
  const internals = child as unknown as Internals
  const write = internals[pino.symbols.writeSym]
  const asJson = internals[pino.symbols.asJsonSym]
  const { child: makeChild, setBindings } = internals
  Object.assign(child, {
    // A destination that fails throws into whoever writes; here that is a task.
    [pino.symbols.writeSym](this: Internals, object: unknown, message: unknown, level: number): void {
      try {
        write.call(this, object, message, level)
      } catch (error) {
        fault('logging', 'write', error)
      }
    },
    [pino.symbols.asJsonSym](this: Internals, object: object, message: unknown, level: number, time: string): string {
      return asJson.call(this, object, typeof message === 'string' ? maskUrls(message) : message, level, time)
    },
    child(this: Internals, bindings: Bindings, options?: ChildLoggerOptions): Logger {
      const { formatters, serializers } = options ?? {}
      const all = { ...this[pino.symbols.serializersSym], ...serializers }
      return makeChild.call(this, clean(redact, bindings, {}, all), {
        ...options,
        ...(formatters && { formatters: { ...formatters, ...(formatters.log && { log: safely(formatters.log) }) } }),
        ...(serializers && { serializers: redacted(serializers as Serializers, redact) }),
      })
    },
    setBindings(this: Internals, bindings: Bindings): void {
      setBindings.call(this, clean(redact, bindings, {}, this[pino.symbols.serializersSym]))
    },
  })
}

function redacted(serializers: Serializers, redact: Redact): Serializers {
  const wrapped: Serializers = {}
  for (const key of Reflect.ownKeys(serializers)) {
    wrapped[key] = (value) => clean(redact, serializers[key]?.(value), undefined)
  }
  return wrapped
}

// pino writes what it cannot read as best it can: looking for credentials in it must not throw either. What has a serializer
// is left to that, whose word is redacted: a copy of a request, or of a model, would be without its methods.
function clean<T>(redact: Redact, value: T, instead: T, serializers?: Serializers): T {
  try {
    return redact(value, serializers)
  } catch (error) {
    fault('logging', 'redact', error)
    return instead
  }
}
