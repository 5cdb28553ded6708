// Workers and their telemetry, each by its name and by its process.
import { type Firing, flat, ramp, type Samples } from '../promtool.ts'
import type { ShownAlerts } from './shape.ts'

const target = (instance = 'a:9464'): string => `job="workers",instance="${instance}"`
const info = (instance?: string, version = '1'): string =>
  `taskiq_worker_info{${target(instance)},app="shop",worker="render",service_name="shop-render",version="${version}",environment="test"}`
const up = (instance?: string): string => `up{${target(instance)}}`
const own = (name: string, labels = '', instance?: string): string => `taskiq_${name}{${target(instance)}${labels}}`
const missing = (minutes: number): Samples => Array.from({ length: minutes }, () => undefined)
const leaves = (samples: Samples): Samples => [...samples, 'stale']
const WHO = { app: 'shop', worker: 'render' }
const PROCESS = { ...WHO, job: 'workers', instance: 'a:9464' }

const down: Firing = {
  labels: { severity: 'warning', ...PROCESS },
  summary: 'A process of shop render cannot be scraped',
  description: 'Prometheus has not reached a:9464 (job workers) for 2 min.',
}
const goneBy = (count: number): Firing => ({
  labels: { severity: 'critical', ...WHO },
  summary: 'No process of shop render is left',
  description: `There were ${count} when it was seen last; none has reported for 2 min.`,
})
const uses = (summary: string, description: string): Firing => ({
  labels: { severity: 'warning', ...PROCESS },
  summary: `shop render ${summary}`,
  description: `a:9464: ${description}`,
})
const silent: Firing = {
  labels: { severity: 'warning', ...WHO, reason: 'gone' },
  summary: 'shop render tells nothing of itself any more',
  description: 'No process of this worker has told what it uses for 5 min.',
}
const told = (labels: object, summary: string, description: string): Firing => ({
  labels: { severity: 'warning', ...WHO, ...labels },
  summary,
  description,
})

const [CPU, CORES] = [own('process_cpu_seconds_total'), own('process_cpu_limit_cores')]
const [RSS, LIMIT] = [own('process_resident_memory_bytes'), own('process_memory_limit_bytes')]
const LAG = own('process_event_loop_lag_seconds', ',quantile="0.99"')
const FAULTS = own('telemetry_errors_total', ',part="tracing",reason="span"')
const OVERFLOW = own('label_overflow_total', ',label="task_name"')
const faults = (count: number): Firing =>
  told(
    { part: 'tracing', reason: 'span' },
    'Telemetry of shop render has faults: tracing span',
    `${count} faults in the last 15 min. No task was affected; what is shown may have gaps.`,
  )

const ofACore = (used: string): string =>
  `It uses ${used} of one core, or of the limit of its container where that is less (limit 80 %), for 5 min.`

/** One process for 10 min, none for 30, then a new one elsewhere. */
const gone = (series: Record<string, Samples>) => ({
  series: {
    [info()]: leaves(flat(1, 10)),
    [info('b:9464', '2')]: [...missing(40), ...flat(1, 20)],
    ...Object.fromEntries(
      Object.entries(series).flatMap(([name, samples]) => [
        [name, leaves(samples.slice(0, 10))],
        [name.replace('a:9464', 'b:9464'), [...missing(40), ...samples.slice(0, 20)]],
      ]),
    ),
  },
  at: { 9: [], 12: [], 17: [silent], 39: [silent], 47: [] },
})

export const WORKERS: ShownAlerts = {
  WorkerDown: {
    over: {
      series: {
        [up()]: [...flat(1, 10), ...flat(0, 10), ...flat(1, 10)],
        [info()]: [...leaves(flat(1, 10)), ...missing(9), ...flat(1, 10)],
      },
      at: { 11: [], 13: [down], 19: [down], 21: [] },
    },
    // Somebody else's target, and one of ours that is up.
    atLimit: {
      series: { [up()]: flat(1, 30), [info()]: flat(1, 30), [up('db:9187')]: flat(0, 30) },
      at: { 10: [], 29: [] },
    },
    gone: {
      series: { [up()]: [...flat(1, 10), ...flat(0, 1_500)], [info()]: leaves(flat(1, 10)) },
      at: { 13: [down], 1500: [down] },
    },
    also: {
      'lets a process go that is not scraped any more': {
        series: { [up()]: [...flat(1, 10), ...flat(0, 10), 'stale'], [info()]: leaves(flat(1, 10)) },
        at: { 19: [down], 21: [] },
      },
    },
  },
  WorkerGone: {
    over: {
      series: {
        [info('a:9464')]: [...leaves(flat(1, 10)), ...missing(20), ...flat(1, 9)],
        [info('b:9464')]: leaves(flat(1, 10)),
      },
      at: { 11: [], 13: [goneBy(2)], 30: [goneBy(2)], 32: [] },
    },
    atLimit: {
      series: { [info('a:9464')]: leaves(flat(1, 10)), [info('b:9464')]: flat(1, 30) },
      at: { 13: [], 29: [] },
    },
    gone: {
      series: { [up()]: [...flat(1, 10), ...flat(0, 30)], [info()]: leaves(flat(1, 10)) },
      at: { 13: [goneBy(1)], 39: [goneBy(1)] },
    },
    also: {
      'is silent through a new version that comes within 2 min': {
        series: { [info()]: leaves(flat(1, 10)), [info('b:9464', '2')]: [...missing(12), ...flat(1, 20)] },
        at: { 11: [], 13: [], 20: [] },
      },
      'lets a worker go that nobody has seen for a day': {
        series: { [info()]: leaves(flat(1, 10)) },
        at: { 1440: [goneBy(1)], 1455: [] },
      },
    },
  },
  WorkerCpuHigh: {
    over: {
      series: {
        [info()]: flat(1, 60),
        [CORES]: flat(8, 60),
        [CPU]: [...ramp(54, 21), ...flat(1_080, 20)],
      },
      at: { 5: [], 11: [uses('uses much CPU', ofACore('90%'))], 40: [] },
    },
    atLimit: { series: { [info()]: flat(1, 60), [CORES]: flat(8, 60), [CPU]: ramp(48, 40) }, at: { 10: [], 39: [] } },
    gone: gone({ [CORES]: flat(8, 60), [CPU]: ramp(6, 60) }),
    also: {
      "judges half a core's use as all of it where the container may use no more": {
        series: { [info()]: flat(1, 60), [CORES]: flat(0.5, 60), [CPU]: ramp(30, 40) },
        at: { 11: [uses('uses much CPU', ofACore('100%'))], 39: [uses('uses much CPU', ofACore('100%'))] },
      },
      'judges a process that says not who it is': {
        series: { [CORES]: flat(8, 21), [CPU]: ramp(54, 21) },
        at: {
          11: [
            {
              labels: { severity: 'warning', job: 'workers', instance: 'a:9464' },
              summary: 'a:9464 uses much CPU',
              description: `a:9464: ${ofACore('90%')}`,
            },
          ],
        },
      },
    },
  },
  WorkerMemoryHigh: {
    over: {
      series: { [info()]: flat(1, 60), [LIMIT]: flat(1_000, 60), [RSS]: [...flat(860, 20), ...flat(500, 10)] },
      at: {
        4: [],
        5: [uses('uses much memory', 'It uses 86% of the memory that its container may use (limit 85 %), for 5 min.')],
        21: [],
      },
    },
    atLimit: {
      series: { [info()]: flat(1, 60), [LIMIT]: flat(1_000, 60), [RSS]: flat(850, 60) },
      at: { 10: [], 29: [] },
    },
    gone: gone({ [LIMIT]: flat(1_000, 60), [RSS]: flat(500, 60) }),
    also: {
      'is silent where there is no limit': {
        series: { [info()]: flat(1, 60), [RSS]: leaves(flat(860, 20)) },
        at: { 19: [], 30: [] },
      },
    },
  },
  EventLoopLagHigh: {
    over: {
      series: { [info()]: flat(1, 60), [LAG]: [...flat(0.75, 20), ...flat(0.1, 10)] },
      at: {
        4: [],
        5: [
          uses(
            'has a busy event loop',
            'Its timers run 750ms late (p99, limit 500 ms), for 5 min: locks and heartbeats are at risk.',
          ),
        ],
        21: [],
      },
    },
    atLimit: { series: { [info()]: flat(1, 60), [LAG]: flat(0.5, 30) }, at: { 10: [], 29: [] } },
    gone: gone({ [LAG]: flat(0.01, 60) }),
  },
  TelemetryErrors: {
    over: {
      series: { [info()]: flat(1, 60), [FAULTS]: [undefined, undefined, ...flat(2, 40)] },
      at: { 1: [], 2: [faults(2)], 18: [] },
    },
    atLimit: { series: { [info()]: flat(1, 60), [FAULTS]: flat(0, 40) }, at: { 2: [], 39: [] } },
    also: {
      'goes on under the same name when the process ends': {
        series: { [info()]: leaves(flat(1, 10)), [FAULTS]: [undefined, undefined, ...leaves(flat(2, 8))] },
        at: { 9: [faults(2)], 14: [faults(2)], 30: [] },
      },
      'names the process where nobody knows which worker it is': {
        series: { [FAULTS]: [undefined, undefined, ...flat(2, 40)] },
        at: {
          2: [
            {
              labels: { severity: 'warning', job: 'workers', instance: 'a:9464', part: 'tracing', reason: 'span' },
              summary: 'Telemetry of a:9464 has faults: tracing span',
              description: '2 faults in the last 15 min. No task was affected; what is shown may have gaps.',
            },
          ],
        },
      },
    },
  },
  LabelOverflow: {
    over: {
      series: { [info()]: flat(1, 60), [OVERFLOW]: [undefined, undefined, ...flat(7, 40)] },
      at: {
        1: [],
        2: [
          told(
            { label: 'task_name' },
            'shop render has too many values of the label task_name',
            '7 times in the last 15 min a value beyond the cap was counted under "other".',
          ),
        ],
        18: [],
      },
    },
    atLimit: { series: { [info()]: flat(1, 60), [OVERFLOW]: flat(0, 40) }, at: { 2: [], 39: [] } },
  },
}
