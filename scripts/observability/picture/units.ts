// Numbers as Grafana writes them for people, unit by unit.

export function written(value: number, unit = 'short'): string {
  if (unit.startsWith('suffix:')) return `${short(value)} ${unit.slice(7).trim()}`.replace(' /', '/')
  if (unit === 'percentunit') return `${rounded(value * 100)}%`
  if (unit === 's' || unit === 'dtdurations') return duration(value)
  if (unit === 'bytes') return scaled(value, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB'])
  if (unit === 'dateTimeAsIso') return `${new Date(value).toISOString().slice(0, 19).replace('T', ' ')}`
  return short(value)
}

function short(value: number): string {
  return scaled(value, 1000, ['', 'K', 'M', 'B'])
}

function duration(seconds: number): string {
  const size = Math.abs(seconds)
  if (size === 0) return '0 s'
  if (size < 1) return `${rounded(seconds * 1000)} ms`
  if (size < 120) return `${rounded(seconds)} s`
  if (size < 7200) return `${rounded(seconds / 60)} min`
  return size < 172_800 ? `${rounded(seconds / 3600)} h` : `${rounded(seconds / 86_400)} d`
}

function scaled(value: number, step: number, units: readonly string[]): string {
  let size = value
  let at = 0
  while (Math.abs(size) >= step && at < units.length - 1) {
    size /= step
    at++
  }
  return `${rounded(size)} ${units[at]}`.trim()
}

/** Three digits that say something. */
function rounded(value: number): string {
  return String(Number(value.toPrecision(Math.abs(value) >= 100 ? Math.ceil(Math.log10(Math.abs(value) + 1)) : 3)))
}

/** Round numbers of a unit for an axis, from below the least to above the greatest. */
export function ticks(low: number, high: number, unit = ''): number[] {
  const one = sizeOf(unit, Math.max(Math.abs(low), Math.abs(high)))
  const rough = (high - low || Math.abs(high) || 1) / one / TICKS
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 2.5, 5, 10].find((each) => each * power >= rough * 0.999) ?? 10) * power * one
  const made: number[] = []
  for (let at = Math.floor(low / step + 1e-9); made.length < 12; at++) {
    made.push(Number((at * step).toPrecision(12)))
    if (at * step >= high * 0.999) break
  }
  return made
}

const TICKS = 4

// Of 5,400 s round parts are half hours, of 300,000,000 B they are 50 MiB.
function sizeOf(unit: string, most: number): number {
  if (unit === 'bytes') return 1024 ** Math.max(0, Math.floor(Math.log(most) / Math.log(1024)))
  if (unit !== 's') return 1
  return [86_400, 3_600, 60].find((size) => most >= 2 * size) ?? 1
}

/** The time of day in UTC, to the second where the whole span is short. */
export function clock(seconds: number, [from, to]: readonly [number, number]): string {
  return new Date(seconds * 1000).toISOString().slice(11, to - from > 1_500 ? 16 : 19)
}
