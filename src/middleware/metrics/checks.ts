// What may be given as buckets and labels.
import { METRIC } from '../../kernel/names.ts'

const MAX_USER_LABELS = 3

/** Check for the bucket options: ascending positive numbers, at most 50. */
export function buckets(value: unknown): string | undefined {
  const ok =
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= 50 &&
    value.every((bound, at) => Number.isFinite(bound) && bound > (at === 0 ? 0 : (value[at - 1] as number)))
  return ok ? undefined : 'must be 1 to 50 ascending numbers of seconds'
}

/** Check for the `labels` option: at most three functions under names that Prometheus allows and we do not use. */
export function labelFunctions(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'must be an object of functions'
  const entries = Object.entries(value)
  if (entries.length > MAX_USER_LABELS) return `must have at most ${MAX_USER_LABELS} labels`
  const taken = new Set<string>(['le', 'quantile', ...Object.values(METRIC).flatMap((metric) => [...metric.labels])])
  for (const [name, read] of entries) {
    if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) || name.startsWith('__'))
      return `has the label '${name}', which Prometheus refuses`
    if (taken.has(name)) return `has the label '${name}', which is taken`
    if (typeof read !== 'function') return `must have a function for '${name}'`
  }
  return undefined
}
