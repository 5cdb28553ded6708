// The cap on label values: a mistake in a task name must not take Prometheus down.

const LIMITS: Readonly<Record<string, number>> = { task_name: 500, error_type: 100 }
const DEFAULT_LIMIT = 200
const MAX_LENGTH = 128

export function short(value: string): string {
  return value.length > MAX_LENGTH ? value.slice(0, MAX_LENGTH) : value
}

/** Admits label values up to a limit per label; what is over becomes `other`, and is counted. */
export class LabelCaps {
  /** Overflows by label; the source of `taskiq_label_overflow_total`. */
  readonly overflows = new Map<string, number>()
  private readonly values = new Map<string, Set<string>>()

  constructor(private readonly limits: Readonly<Record<string, number>> = {}) {}

  admit(label: string, value: string): string {
    const text = short(value)
    let known = this.values.get(label)
    if (known === undefined) {
      known = new Set()
      this.values.set(label, known)
    }
    if (known.has(text)) return text
    if (known.size < (this.limits[label] ?? LIMITS[label] ?? DEFAULT_LIMIT)) {
      known.add(text)
      return text
    }
    this.overflow(label)
    return 'other'
  }

  overflow(label: string, count = 1): void {
    this.overflows.set(label, (this.overflows.get(label) ?? 0) + count)
  }
}
