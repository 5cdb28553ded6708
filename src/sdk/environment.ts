// Environment variables as OpenTelemetry reads them: empty is unset.

export function env(name: string): string | undefined {
  const value = process.env[name]?.trim()
  return value === '' ? undefined : value
}

export function isTrue(name: string): boolean {
  return env(name)?.toLowerCase() === 'true'
}

/** A comma-separated list, without its empty items and repetitions; of nothing but commas it is unset. */
export function list(name: string): string[] | undefined {
  const value = env(name)
  if (value === undefined) return undefined
  const items = [...new Set(value.split(',').map((item) => item.trim().toLowerCase()))].filter((item) => item !== '')
  return items.length === 0 ? undefined : items
}
