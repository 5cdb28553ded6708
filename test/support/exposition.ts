// A strict reader of Prometheus' two text formats: throws where a server would refuse, or would read something else.

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  readonly exemplar?: { readonly labels: Readonly<Record<string, string>>; readonly value: number } | undefined
}

export interface Family {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: readonly Sample[]
}

type Format = 'classic' | 'openmetrics'

const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'unknown', 'untyped', 'info', 'stateset', 'gaugehistogram']
const SUFFIXES: Readonly<Record<Format, Readonly<Record<string, readonly string[]>>>> = {
  classic: { counter: [''], gauge: [''], untyped: [''], histogram: HISTOGRAM(), summary: ['', '_sum', '_count'] },
  openmetrics: {
    counter: ['_total', '_created'],
    gauge: [''],
    unknown: [''],
    histogram: [...HISTOGRAM(), '_created'],
    summary: ['', '_sum', '_count', '_created'],
    info: ['_info'],
  },
}
const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
// Without case: both formats take prom-client's `Nan`.
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|Inf|NaN)$/i

function HISTOGRAM(): readonly string[] {
  return ['_bucket', '_sum', '_count']
}

/** The families of an exposition by name. */
export function parse(text: string, format: Format): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  let lines = text.slice(0, -1).split('\n')
  if (format === 'openmetrics') {
    if (lines.at(-1) !== '# EOF') throw new Error('no # EOF')
    lines = lines.slice(0, -1)
  }
  const families = new Map<string, Family & { samples: Sample[] }>()
  let current: (Family & { samples: Sample[] }) | undefined
  for (const line of lines) {
    if (line === '') {
      if (format === 'openmetrics') throw new Error('an empty line in OpenMetrics')
      continue
    }
    const meta = /^# (HELP|TYPE) (\S+) ?(.*)$/.exec(line)
    if (meta !== null) {
      const [, keyword, name = '', rest = ''] = meta
      if (!NAME.test(name)) throw new Error(`not a name: ${line}`)
      if (keyword === 'HELP') {
        if (families.has(name)) throw new Error(`a second time: ${name}`)
        current = { name, type: '', help: unescaped(rest, /\\(.)/g), samples: [] }
        families.set(name, current)
      } else {
        if (current?.name !== name || current.type !== '') throw new Error(`a type out of place: ${line}`)
        if (!TYPES.includes(rest)) throw new Error(`not a type: ${line}`)
        Object.assign(current, { type: rest })
      }
      continue
    }
    if (line.startsWith('#')) throw new Error(`not a comment that is known: ${line}`)
    const sample = readSample(line, format)
    const suffixes = SUFFIXES[format][current?.type ?? ''] ?? []
    if (!suffixes.some((suffix) => sample.name === `${current?.name}${suffix}`)) {
      throw new Error(`not in its family (${current?.name} ${current?.type}): ${line}`)
    }
    if (sample.exemplar !== undefined && !/_(bucket|total)$/.test(sample.name)) throw new Error(`an exemplar: ${line}`)
    current?.samples.push(sample)
  }
  for (const family of families.values()) check(family)
  return families
}

function readSample(line: string, format: Format): Sample {
  const at = line.search(/[{ ]/)
  const name = line.slice(0, at)
  if (!NAME.test(name)) throw new Error(`not a name: ${line}`)
  const { labels, rest } = line[at] === '{' ? readLabels(line.slice(at)) : { labels: {}, rest: line.slice(at) }
  const [values = '', mark, ...more] = rest.split(' # ')
  if (more.length > 0) throw new Error(`two exemplars: ${line}`)
  const [empty, value = '', timestamp, ...others] = values.split(' ')
  if (empty !== '' || timestamp !== undefined || others.length > 0) throw new Error(`not one value: ${line}`)
  const sample = { name, labels, value: readNumber(value, line) }
  if (mark === undefined) return sample
  if (format === 'classic') throw new Error(`an exemplar in the classic format: ${line}`)
  const exemplar = readLabels(mark)
  if (Object.entries(exemplar.labels).flat().join('').length > 128) throw new Error(`too long: ${line}`)
  const [, marked = '', time = '', ...left] = exemplar.rest.split(' ')
  if (left.length > 0 || !NUMBER.test(time)) throw new Error(`not an exemplar: ${line}`)
  return { ...sample, exemplar: { labels: exemplar.labels, value: readNumber(marked, line) } }
}

function readLabels(text: string): { labels: Record<string, string>; rest: string } {
  const labels: Record<string, string> = {}
  let left = text.slice(1)
  while (!left.startsWith('}')) {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,?)/.exec(left)
    if (match === null) throw new Error(`not a label: ${left}`)
    const [all, name = '', value = '', comma] = match
    if (Object.hasOwn(labels, name)) throw new Error(`the label ${name} twice: ${text}`)
    labels[name] = unescaped(value, /\\([\\"n])/g)
    left = left.slice(all.length)
    if (comma === '' && !left.startsWith('}')) throw new Error(`no comma: ${text}`)
  }
  return { labels, rest: left.slice(1) }
}

function readNumber(text: string, line: string): number {
  if (!NUMBER.test(text)) throw new Error(`not a number: ${line}`)
  return Number(text.replace(/inf/i, 'Infinity').replace(/nan/i, 'NaN'))
}

function unescaped(text: string, escapes: RegExp): string {
  return text.replace(escapes, (_, letter: string) => (letter === 'n' ? '\n' : letter))
}

function check({ name, type, samples }: Family): void {
  if (type === '') throw new Error(`no type: ${name}`)
  const seen = new Set<string>()
  const buckets = new Map<string, Sample[]>()
  for (const sample of samples) {
    const { le, ...labels } = sample.labels
    const key = JSON.stringify(Object.entries(labels).sort())
    const series = `${sample.name} ${key} ${le}`
    if (seen.has(series)) throw new Error(`a series twice: ${series}`)
    seen.add(series)
    if (type === 'counter' && sample.value < 0) throw new Error(`a negative counter: ${series}`)
    if (type !== 'histogram') continue
    const kind = sample.name.slice(name.length)
    if ((kind === '_bucket') !== (le !== undefined)) throw new Error(`le out of place: ${series}`)
    if (kind === '_bucket') buckets.set(key, [...(buckets.get(key) ?? []), sample])
    if (kind !== '_count') continue
    const own = buckets.get(key) ?? []
    const bounds = own.map((bucket) => readNumber(bucket.labels.le ?? '', series))
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`no +Inf: ${series}`)
    if (own.at(-1)?.value !== sample.value) throw new Error(`count and +Inf differ: ${series}`)
    for (let at = 1; at < own.length; at++) {
      if ((bounds[at] ?? 0) <= (bounds[at - 1] ?? 0)) throw new Error(`bounds do not ascend: ${series}`)
      if ((own[at]?.value ?? 0) < (own[at - 1]?.value ?? 0)) throw new Error(`counts do not ascend: ${series}`)
    }
  }
}
