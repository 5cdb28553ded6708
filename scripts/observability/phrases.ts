// The PromQL that dashboards are written in. Names come from src/kernel/names.ts, labels are checked against it.
import { DEFAULT_PREFIX, METRIC, type MetricName, WATCH_METRIC } from '../../src/kernel/names.ts'
import { gained } from '../../src/observability/promql.ts'

export const METRICS = { ...METRIC, ...WATCH_METRIC }
export type MetricKey = keyof typeof METRICS
type LabelOf<K extends MetricKey> = (typeof METRICS)[K]['labels'][number]
export type Match<K extends MetricKey> = { readonly [L in LabelOf<K>]?: string }

/** Which variable of a dashboard chooses the values of a label. */
const CHOSEN_BY = {
  queue: 'queue',
  task_name: 'task',
  pipeline: 'pipeline',
  schedule: 'schedule',
  service: 'service',
} as const
const LABEL_OF = new Map<string, string>(Object.entries(CHOSEN_BY).map(([label, variable]) => [variable, label]))
export type ChoiceName = (typeof CHOSEN_BY)[keyof typeof CHOSEN_BY]

export const RATE = '$__rate_interval'
export const RANGE = '$__range'

export const nameOf = (key: MetricKey): string => `${DEFAULT_PREFIX}_${METRICS[key].name}`

/** What makes a task's ending count in the failure rate, and what makes it a failure there. */
export const ENDED = '~success|failure|lost'
export const FAILED = '~failure|lost'

/**
 * The selected workers, by instance. With `All` selected `up` stands for those that never said who they are (services in
 * other languages, a worker without `start()`) and for those that are down; with a name selected it matches none.
 */
export const CHOSEN_WORKERS = `{__name__=~"${nameOf('workerInfo')}|up",app=~"$app",worker=~"$worker"}`
export const chosen = (vector: string): string => `(${vector} and on (instance) ${CHOSEN_WORKERS})`
/** Also those that were there within that time and are not now: what they counted still counts. */
const chosenWithin = (over: string, vector: string): string =>
  `(${vector} and on (instance) last_over_time(${CHOSEN_WORKERS}[${over}]))`

/** The same, and says which app and worker each series is of: as a factor, for it is always 1. */
export function named(vector: string): string {
  const info = `max by (instance, app, worker) (${nameOf('workerInfo')}{app=~"$app",worker=~"$worker"})`
  const nameless = 'max by (instance) (up{app=~"$app",worker=~"$worker"}) ^ 0'
  return `${vector} * on (instance) group_left (app, worker) (${info} or on (instance) ${nameless})`
}

/** The phrases of one dashboard: its selectors follow the choices that it offers. */
export function phrases(...choices: readonly ChoiceName[]) {
  const choosable = new Set(choices.map((choice) => LABEL_OF.get(choice)))

  /** `taskiq_tasks_total{queue=~"$queue",outcome="failure"}`. A value that begins with `~` or `!` is an operator. */
  function series<K extends MetricKey>(key: K, match: Match<K> = {}, suffix = ''): string {
    const metric: MetricName = METRICS[key]
    const given = Object.entries(match as Record<string, string>)
    const matchers = given.map(([label, value]) => matcher(label, value))
    for (const label of metric.labels) {
      if (choosable.has(label) && !(label in match)) matchers.push(`${label}=~"$${CHOSEN_BY[label as keyof object]}"`)
    }
    return `${nameOf(key)}${suffix}${matchers.length > 0 ? `{${matchers.join(',')}}` : ''}`
  }

  const gauge = <K extends MetricKey>(key: K, match?: Match<K>): string => chosen(series(key, match))

  /** What was said last in the time shown, also by those who have ended since. */
  const last = <K extends MetricKey>(key: K, match?: Match<K>): string =>
    chosenWithin(RANGE, `last_over_time(${series(key, match)}[${RANGE}])`)

  const rate = <K extends MetricKey>(key: K, match?: Match<K>, over = RATE, suffix = ''): string =>
    over === RATE
      ? chosen(`rate(${series(key, match, suffix)}[${over}])`)
      : chosenWithin(over, `rate(${series(key, match, suffix)}[${over}])`)

  /** How many were counted in that time, the first of each series too. */
  const counted = <K extends MetricKey>(key: K, match?: Match<K>, over = RANGE, suffix = ''): string =>
    chosenWithin(over, gained(series(key, match, suffix), over))

  const quantile = <K extends MetricKey>(q: number, by: string, key: K, match?: Match<K>, over = RATE): string =>
    `histogram_quantile(${q}, sum by (${by === '' ? 'le' : `${by}, le`}) (${rate(key, match, over, '_bucket')}))`

  const average = <K extends MetricKey>(by: string, key: K, match?: Match<K>, over = RATE): string =>
    `${sum(by, rate(key, match, over, '_sum'))} / (${sum(by, rate(key, match, over, '_count'))} > 0)`

  return { series, gauge, last, rate, counted, quantile, average }
}

export const sum = (by: string, vector: string): string => aggregate('sum', by, vector)
export const max = (by: string, vector: string): string => aggregate('max', by, vector)

function aggregate(operator: string, by: string, vector: string): string {
  return by === '' ? `${operator}(${bare(vector)})` : `${operator} by (${by}) (${bare(vector)})`
}

/** A part of a whole where that is large enough: 0 where nothing was counted of the part, no value while all is idle. */
export const share = (part: string, whole: string, enough = '> 0'): string =>
  `(${part} or ${whole} * 0) / (${whole} ${enough})`

/** A number where there is nothing to count. */
export const orZero = (vector: string): string => `${vector} or vector(0)`

function matcher(label: string, value: string): string {
  if (value.startsWith('!~')) return `${label}!~"${value.slice(2)}"`
  if (value.startsWith('~')) return `${label}=~"${value.slice(1)}"`
  return value.startsWith('!') ? `${label}!="${value.slice(1)}"` : `${label}="${value}"`
}

// `sum((x))` reads worse than `sum(x)`; only a pair that encloses all may go.
function bare(vector: string): string {
  if (!vector.startsWith('(') || !vector.endsWith(')')) return vector
  let depth = 0
  for (const [at, character] of [...vector].entries()) {
    depth += character === '(' ? 1 : character === ')' ? -1 : 0
    if (depth === 0 && at < vector.length - 1) return vector
  }
  return vector.slice(1, -1)
}
