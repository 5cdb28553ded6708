// Workers: processes that are gone, and what they use.
import { inWords, secondsOf } from '../durations.ts'
import { carried, gone, vanished, WHO } from '../promql.ts'
import type { AlertRule, Group, Making, Recording } from '../rule.ts'
import { percent } from './tasks.ts'

export function workerRules(making: Making): Group {
  const { series, limits, recorded, alert } = making
  const [info, known, count] = [recorded('worker:info'), recorded('worker:known'), recorded('worker_processes:count')]
  const forget = limits['forget-after']
  return {
    name: 'taskspan-workers',
    rules: [
      {
        // One each, whatever a target may say: two would make every join below fail.
        record: info,
        expr: `max by (job, instance, app, worker) (topk by (job, instance) (1, ${series.workerInfo}))`,
      },
      {
        // A target that is down is remembered for as long as it is down and configured.
        record: known,
        expr: `${info} or (${carried(known)} and on (job, instance) up == 0)`,
      },
      { record: count, expr: `count by (app, worker) (${info})` },
      alert('WorkerDown', {
        expr: `${known} and on (job, instance) up == 0`,
        for: '2m',
        summary: 'A process of {{ $labels.app }} {{ $labels.worker }} cannot be scraped',
        description: 'Prometheus has not reached {{ $labels.instance }} (job {{ $labels.job }}) for 2 min.',
      }),
      alert('WorkerGone', {
        expr: vanished(count, 'app, worker', forget),
        for: '2m',
        summary: 'No process of {{ $labels.app }} {{ $labels.worker }} is left',
        description: 'There were {{ $value }} when it was seen last; none has reported for 2 min.',
      }),
      ...use(
        making,
        'worker_cpu:ratio',
        // One core is what an event loop can use, however many there are.
        `sum by (job, instance) (rate(${series.cpu}[5m])) / clamp_max(max by (job, instance) (${series.cpuLimit}), 1)`,
        {
          name: 'WorkerCpuHigh',
          limit: Number(limits.cpu),
          summary: 'uses much CPU',
          description: `It uses {{ $value | humanizePercentage }} of one core, or of the limit of its container where that is less (limit ${percent(limits.cpu)}), for 5 min.`,
        },
      ),
      ...use(
        making,
        'worker_memory:ratio',
        `max by (job, instance) (${series.residentMemory}) / max by (job, instance) (${series.memoryLimit})`,
        {
          name: 'WorkerMemoryHigh',
          limit: Number(limits.memory),
          summary: 'uses much memory',
          description: `It uses {{ $value | humanizePercentage }} of the memory that its container may use (limit ${percent(limits.memory)}), for 5 min.`,
        },
      ),
      ...use(making, 'worker_event_loop_lag:p99', `max by (job, instance) (${series.eventLoopLag}{quantile="0.99"})`, {
        name: 'EventLoopLagHigh',
        limit: secondsOf(limits['event-loop-lag']) ?? 0,
        summary: 'has a busy event loop',
        description: `Its timers run {{ $value | humanizeDuration }} late (p99, limit ${inWords(limits['event-loop-lag'])}), for 5 min: locks and heartbeats are at risk.`,
      }),
    ],
  }
}

interface Use {
  readonly name: 'WorkerCpuHigh' | 'WorkerMemoryHigh' | 'EventLoopLagHigh'
  readonly limit: number
  readonly summary: string
  readonly description: string
}

/** What one process uses, by app and worker where they are known; and a worker of which no process tells any more. */
function use(making: Making, name: string, expr: string, { limit, ...use }: Use): (Recording | AlertRule)[] {
  const { limits, recorded, alert } = making
  const [used, info] = [recorded(name), recorded('worker:info')]
  const telling = recorded(`${name.split(':')[0]}:count`)
  return [
    {
      record: used,
      expr: `${expr} * on (job, instance) group_left (app, worker) ${info}\nor on (job, instance) ${expr}`,
    },
    { record: telling, expr: `count by (app, worker) (${used}{app!=""})` },
    alert(use.name, {
      expr: `${used} > ${limit} or ${gone(`(${vanished(telling, 'app, worker', limits['forget-after'])})`)}`,
      for: '5m',
      summary: `${WHO} {{ if eq $labels.reason "gone" }}tells nothing of itself any more{{ else }}${use.summary}{{ end }}`,
      description: `{{ if eq $labels.reason "gone" }}No process of this worker has told what it uses for 5 min.{{ else }}{{ $labels.instance }}: ${use.description}{{ end }}`,
    }),
  ]
}
