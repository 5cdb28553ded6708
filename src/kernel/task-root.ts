// The root of each task's context: an empty one that links its first values where OpenTelemetry's own copies a Map for each.
import { type Context, ROOT_CONTEXT } from '@opentelemetry/api'

// A task sets two or three: what its message carried, and its span. Beyond that it goes on as OpenTelemetry's own, so that
// no look-up is long, and no value that was replaced (a span above a span above a span) is held for long.
const MAX_LINKS = 4

class Linked implements Context {
  constructor(
    private readonly before: Linked | undefined,
    private readonly key: symbol | undefined,
    private readonly value: unknown,
    private readonly links: number,
  ) {}

  getValue(key: symbol): unknown {
    for (let at: Linked | undefined = this; at !== undefined; at = at.before) if (at.key === key) return at.value
    return undefined
  }

  setValue(key: symbol, value: unknown): Context {
    if (this.links < MAX_LINKS) return new Linked(this, key, value, this.links + 1)
    return this.copied().setValue(key, value)
  }

  deleteValue(key: symbol): Context {
    return this.copied().deleteValue(key)
  }

  private copied(): Context {
    const before = this.before === undefined ? ROOT_CONTEXT : this.before.copied()
    return this.key === undefined ? before : before.setValue(this.key, this.value)
  }
}

/** As empty as `ROOT_CONTEXT`. */
export const TASK_ROOT: Context = new Linked(undefined, undefined, undefined, 0)
