// Schedules, pipelines, services of others, brokers.
import { type Firing, flat, ramp, type Samples } from '../promtool.ts'
import type { ShownAlerts } from './shape.ts'

const missing = (minutes: number): Samples => Array.from({ length: minutes }, () => undefined)
const leaves = (samples: Samples): Samples => [...samples, 'stale']
const risen = (perMinute: number, minutes: number, still: number): Samples => [
  ...ramp(perMinute, minutes),
  ...flat(perMinute * (minutes - 1), still),
]

const cron = (name: string, instance = 'a'): string => `taskiq_cron_${name}{instance="${instance}",schedule="nightly"}`
const [INTERVAL, SUCCESS, NEXT] = [
  cron('interval_seconds'),
  cron('last_success_timestamp_seconds'),
  cron('next_run_timestamp_seconds'),
]
const onSchedule = (severity: string, summary: string, description: string, more = {}): Firing => ({
  labels: { severity, schedule: 'nightly', ...more },
  summary: `The schedule nightly ${summary}`,
  description,
})
const silent = (time: string): Firing =>
  onSchedule('critical', 'is silent', `It has not succeeded for ${time}, more than twice its interval.`)
const late = (time: string): Firing =>
  onSchedule('warning', 'misses runs', `Its next run was due ${time} ago.`, { reason: 'late' })
const overlapping = (summary: string, description: string, more = {}): Firing => ({
  labels: { severity: 'warning', schedule: 'nightly', ...more },
  summary,
  description,
})
const overlapsUnknown = (time: string): Firing =>
  overlapping(
    'Nobody tells of the schedule nightly any more',
    `It has not succeeded for ${time}, more than twice its interval, and whether its runs overlap is not known.`,
    { reason: 'gone' },
  )
/** A run every 10 min, each of which succeeds at once. */
const tens = (minutes: number, ahead = 0): Samples =>
  Array.from({ length: minutes }, (_, minute) => (Math.floor(minute / 10) * 10 + ahead) * 60)

const pipeline = (outcome: string): string => `taskiq_pipelines_total{pipeline="analysis",outcome="${outcome}"}`
const step = (id: string, outcome: string): string =>
  `taskiq_steps_total{pipeline="analysis",step="${id}",outcome="${outcome}"}`
const runs = (le: string): string =>
  `taskiq_pipeline_duration_seconds_bucket{pipeline="analysis",result="ok",le="${le}"}`
const onPipeline = (severity: string, summary: string, description: string, more = {}): Firing => ({
  labels: { severity, pipeline: 'analysis', ...more },
  summary,
  description,
})
const calls = (result: string): string =>
  `taskiq_ext_duration_seconds_count{service="whisper",operation="transcribe",result="${result}"}`
const failing = (rate: string): Firing => ({
  labels: { severity: 'warning', service: 'whisper' },
  summary: 'Calls to whisper fail',
  description: `${rate} of its calls failed (limit 5 %, at least 20 calls): three times as many as in the hour before, or more than half.`,
})
const broker = (name: string): string => `taskiq_broker_${name}{instance="a",broker="redis:6379"}`
const onBroker = (severity: string, summary: string, description: string): Firing => ({
  labels: { severity, broker: 'redis:6379' },
  summary: `The broker redis:6379 ${summary}`,
  description,
})
const brokerGone = (severity: string, description: string): Firing => ({
  labels: { severity, broker: 'redis:6379', reason: 'gone' },
  summary: 'Nobody tells about the broker redis:6379 any more',
  description,
})
const back = (value: number): Samples => [...leaves(flat(value, 10)), ...missing(20), ...flat(value, 10)]
const [SHORT, BLOCKED] = ['is short of memory', 'takes no messages']

export const OTHERS: ShownAlerts = {
  CronSilent: {
    over: {
      series: { [INTERVAL]: flat(600, 60), [SUCCESS]: [...flat(0, 30), ...flat(1_800, 20)] },
      at: { 21: [], 22: [silent('22m 0s')], 29: [silent('29m 0s')], 31: [] },
    },
    atLimit: {
      series: { [INTERVAL]: flat(600, 60), [SUCCESS]: [...flat(0, 21), ...flat(1_200, 20)] },
      at: { 20: [], 40: [] },
    },
    gone: {
      series: {
        [INTERVAL]: [...leaves(flat(600, 15)), ...missing(30), ...flat(600, 20)],
        [SUCCESS]: [...leaves(tens(15)), ...missing(30), ...flat(2_760, 20)],
      },
      at: { 16: [], 30: [], 32: [silent('22m 0s')], 45: [silent('35m 0s')], 48: [] },
    },
    also: {
      'fires for a schedule that has never succeeded': {
        series: { [INTERVAL]: [undefined, undefined, ...flat(600, 60)] },
        at: { 22: [], 24: [silent('22m 0s')], 60: [silent('58m 0s')] },
      },
      'lets a run end that is due after a long interval and before a short one': {
        series: {
          [INTERVAL]: [...flat(3_600, 70), ...flat(600, 140)],
          [SUCCESS]: [...flat(600, 76), ...flat(4_560, 140)],
        },
        at: { 69: [], 72: [], 75: [], 96: [], 98: [silent('22m 0s')] },
      },
      'waits once for a long interval whose run fails, and for the short one after it': {
        series: { [INTERVAL]: [...flat(3_600, 70), ...flat(600, 140)], [SUCCESS]: flat(600, 210) },
        at: { 80: [], 82: [silent('1h 12m 0s')] },
      },
      'judges a schedule that comes more often from now on by that': {
        series: {
          [INTERVAL]: [...flat(86_400, 15), ...flat(600, 60)],
          [SUCCESS]: [...flat(0, 20), ...flat(1_200, 60)],
        },
        at: { 19: [], 40: [], 42: [silent('22m 0s')] },
      },
      'lets a long interval go that nobody has told for a day': {
        series: { [INTERVAL]: [...flat(2_592_000, 15), ...flat(600, 1_500)], [SUCCESS]: flat(600, 1_515) },
        at: { 1450: [], 1456: [silent('1d 0h 6m 0s')] },
      },
      'remembers the last success through a new version of the process': {
        series: {
          [INTERVAL]: leaves(flat(600, 15)),
          [SUCCESS]: leaves(tens(15)),
          [cron('interval_seconds', 'b')]: [...missing(17), ...flat(600, 40)],
          [cron('last_success_timestamp_seconds', 'b')]: [...missing(20), ...tens(60).slice(20, 60)],
        },
        at: { 18: [], 40: [], 56: [] },
      },
      'does not fall back to an older success when the newest process ends': {
        series: {
          [INTERVAL]: flat(600, 30),
          [SUCCESS]: flat(0, 30),
          [cron('last_success_timestamp_seconds', 'b')]: [...missing(11), ...leaves(flat(660, 5))],
        },
        at: { 22: [], 29: [] },
      },
      'gives a schedule of seconds two minutes': {
        series: { [INTERVAL]: flat(1, 30), [SUCCESS]: [0, 0, 0, 180, 180, 180, 360, 360, 360] },
        at: { 2: [], 5: [], 8: [] },
      },
      'lets a schedule go that has long been silent and is told by nobody': {
        series: { [INTERVAL]: leaves(flat(600, 15)), [SUCCESS]: leaves(tens(15)) },
        at: { 1470: [silent('1d 0h 20m 0s')], 1485: [] },
      },
    },
  },
  CronMissed: {
    over: {
      series: {
        [cron('missed_total')]: [undefined, undefined, ...flat(3, 30)],
        [cron('missed_total', 'b')]: [undefined, undefined, ...flat(2, 30)],
      },
      at: { 1: [], 2: [onSchedule('warning', 'misses runs', '3 runs did not start in the last 15 min.')], 18: [] },
    },
    atLimit: {
      series: { [cron('missed_total')]: flat(0, 40), [NEXT]: flat(600, 16) },
      at: { 2: [], 12: [], 15: [] },
    },
    gone: {
      series: {
        [INTERVAL]: [...leaves(flat(600, 15)), ...missing(30), ...flat(600, 20)],
        [NEXT]: [...leaves(tens(15, 10)), ...missing(30), ...flat(3_600, 20)],
      },
      at: { 16: [], 25: [], 26: [late('6m 0s')], 44: [late('24m 0s')], 48: [] },
    },
  },
  CronOverlapping: {
    over: {
      series: { [cron('overlaps_total')]: [undefined, undefined, ...flat(1, 30)] },
      at: {
        3: [],
        4: [
          overlapping(
            'Runs of the schedule nightly overlap',
            '1 runs started in the last 15 min while another still ran.',
          ),
        ],
        18: [],
      },
    },
    atLimit: { series: { [cron('overlaps_total')]: flat(0, 40) }, at: { 2: [], 39: [] } },
    gone: {
      series: {
        [INTERVAL]: [...leaves(flat(600, 15)), ...missing(30), ...flat(600, 20)],
        [SUCCESS]: [...leaves(tens(15)), ...missing(30), ...flat(2_760, 20)],
      },
      at: { 30: [], 32: [], 33: [overlapsUnknown('23m 0s')], 45: [overlapsUnknown('35m 0s')], 48: [] },
    },
    also: {
      'says nothing of a schedule that is silent and is told of': {
        series: { [INTERVAL]: flat(600, 60), [SUCCESS]: flat(0, 60) },
        at: { 30: [], 59: [] },
      },
      'says nothing of a nightly schedule that a new version tells of only from its first run on': {
        series: {
          [INTERVAL]: leaves(flat(86_400, 15)),
          [SUCCESS]: leaves(flat(0, 15)),
          [cron('interval_seconds', 'b')]: [...missing(1_200), ...flat(86_400, 40)],
        },
        at: { 30: [], 600: [], 1199: [], 1220: [] },
      },
    },
  },
  PipelineFailureRateHigh: {
    over: {
      series: { [pipeline('success')]: ramp(18, 60), [pipeline('failure')]: risen(2, 21, 40) },
      at: {
        5: [],
        7: [
          onPipeline(
            'warning',
            'The pipeline analysis fails',
            '10% of its runs failed (limit 5 %, at least 20 runs), for 5 min.',
          ),
        ],
        30: [],
      },
    },
    atLimit: {
      series: {
        [pipeline('success')]: ramp(19, 60),
        [pipeline('failure')]: ramp(1, 60),
        [pipeline('cancelled')]: ramp(50, 60),
      },
      at: { 10: [], 59: [] },
    },
  },
  PipelineDurationP99High: {
    over: {
      series: { [runs('60')]: flat(0, 40), [runs('120')]: risen(1, 21, 20), [runs('+Inf')]: risen(1, 21, 20) },
      at: {
        5: [],
        8: [
          onPipeline(
            'warning',
            'The pipeline analysis takes long',
            'One in a hundred runs takes 1m 59s or more (p99, limit 60 s), for 5 min.',
          ),
        ],
        30: [],
      },
    },
    atLimit: {
      series: {
        [runs('30')]: ramp(98, 40),
        [runs('60')]: ramp(99, 40),
        [runs('120')]: ramp(100, 40),
        [runs('+Inf')]: ramp(100, 40),
      },
      at: { 10: [], 39: [] },
    },
  },
  PipelineStepFailing: {
    over: {
      series: {
        [step('transcribe', 'failure')]: [undefined, undefined, ...flat(3, 80)],
        [step('transcribe', 'timeout')]: [undefined, undefined, ...flat(1, 80)],
        [step('apply', 'failure')]: [undefined, undefined, ...flat(1, 80)],
      },
      at: {
        1: [],
        3: [
          onPipeline(
            'info',
            'The step transcribe causes most failures of the pipeline analysis',
            '80% of the failed steps of the last hour (at least 5).',
            { step: 'transcribe' },
          ),
        ],
        65: [],
      },
    },
    atLimit: {
      series: {
        [step('transcribe', 'failure')]: [undefined, ...flat(3, 80)],
        [step('apply', 'failure')]: [undefined, ...flat(3, 80)],
        [step('apply', 'retry')]: [undefined, ...flat(50, 80)],
      },
      at: { 3: [], 30: [] },
    },
    also: {
      'says nothing of four failures': {
        series: { [step('transcribe', 'failure')]: [undefined, ...flat(4, 80)] },
        at: { 3: [], 30: [] },
      },
    },
  },
  ExternalErrorRateHigh: {
    over: {
      series: {
        [calls('ok')]: ramp(90, 130),
        [calls('error')]: [...flat(0, 90), ...risen(10, 11, 30)],
      },
      at: { 90: [], 98: [failing('10%')], 110: [] },
    },
    atLimit: {
      series: { [calls('ok')]: ramp(95, 130), [calls('error')]: [...flat(0, 90), ...ramp(5, 40)] },
      at: { 98: [], 129: [] },
    },
    also: {
      'is silent where a service always fails as often': {
        series: { [calls('ok')]: ramp(90, 130), [calls('error')]: ramp(10, 130) },
        at: { 70: [], 129: [] },
      },
      'goes on through an outage that lasts': {
        series: {
          [calls('ok')]: [...ramp(90, 90), ...flat(8_010, 150)],
          [calls('error')]: [...flat(0, 90), ...ramp(90, 150)],
        },
        at: { 89: [], 100: [failing('100%')], 235: [failing('100%')] },
      },
      'judges 20 calls of a whole hour where few are made': {
        series: { [calls('error')]: ramp(0.5, 70) },
        at: { 30: [], 50: [failing('100%')], 69: [failing('100%')] },
      },
      'is silent over 19 calls': {
        series: { [calls('error')]: [undefined, ...flat(19, 30)] },
        at: { 3: [], 5: [] },
      },
    },
  },
  BrokerMemoryHigh: {
    over: {
      series: { [broker('memory_ratio')]: [0.5, ...flat(0.9, 20), ...flat(0.5, 10)] },
      at: { 5: [], 6: [onBroker('warning', SHORT, 'It uses 90% of what it may use (limit 80 %), for 5 min.')], 22: [] },
    },
    atLimit: { series: { [broker('memory_ratio')]: flat(0.8, 30) }, at: { 10: [], 29: [] } },
    gone: {
      series: { [broker('memory_ratio')]: back(0.5) },
      at: {
        9: [],
        14: [],
        16: [
          brokerGone(
            'warning',
            'For 5 min: it does not answer, or who watched it is gone. When it was seen last, it used 50% of what it may use.',
          ),
        ],
        33: [],
      },
    },
  },
  BrokerBlocked: {
    over: {
      series: { [broker('blocked')]: [0, ...flat(1, 20), ...flat(0, 10)] },
      at: {
        2: [],
        3: [onBroker('critical', BLOCKED, 'For 2 min: it is out of memory, or in alarm. Producers wait or fail.')],
        22: [],
      },
    },
    atLimit: { series: { [broker('blocked')]: flat(0, 30) }, at: { 10: [], 29: [] } },
    gone: {
      series: { [broker('blocked')]: back(0) },
      at: {
        9: [],
        11: [],
        13: [brokerGone('critical', 'For 2 min: it does not answer, or who watched it is gone.')],
        33: [],
      },
    },
  },
}
