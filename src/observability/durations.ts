// Durations as Prometheus writes them: `30s`, `10m`, `1h30m`, `500ms`.

const UNITS = { d: 86_400, h: 3_600, m: 60, s: 1, ms: 0.001 } as const
const SHAPE = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$/

/** In seconds; undefined where it is not a duration, or none at all. */
export function secondsOf(duration: string): number | undefined {
  const parts = SHAPE.exec(duration)?.slice(1)
  if (parts === undefined) return undefined
  const factors = Object.values(UNITS)
  const seconds = parts.reduce((sum, part, at) => sum + Number(part ?? 0) * (factors[at] ?? 0), 0)
  return seconds > 0 ? Math.round(seconds * 1_000) / 1_000 : undefined
}

/** In words for people: `10 min`. */
export function inWords(duration: string): string {
  return duration
    .replace(/(\d+)d/, '$1 days ')
    .replace(/(\d+)h/, '$1 h ')
    .replace(/(\d+)m(?!s)/, '$1 min ')
    .replace(/(\d+)s/, '$1 s ')
    .replace(/(\d+)ms/, '$1 ms ')
    .replace(/\b1 days/, '1 day')
    .trim()
}
