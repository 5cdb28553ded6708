// What workers do and lose, and what their telemetry says of itself.
import { lines as logLines, of, spanOf, traces } from '../../links.ts'
import { bands, bars, lines } from '../../panels.ts'
import { max, named, sum } from '../../phrases.ts'
import { counted, gauge, rate, series } from './words.ts'

export const work = [
  lines({
    title: 'Oldest running task',
    what: 'How long the oldest attempt that still runs has been running, by queue and process.',
    unit: 's',
    w: 8,
    queries: [{ expr: named(series('oldestRunning')), legend: '{{queue}} {{worker}} {{instance}}' }],
  }),
  lines({
    title: 'Running tasks',
    what: 'Attempts that run at a moment, by queue and task.',
    unit: 'short',
    stacked: true,
    w: 8,
    queries: [{ expr: sum('queue, task_name', gauge('inProgress')), legend: '{{queue}} {{task_name}}' }],
  }),
  bands({
    title: 'Stuck',
    what: 'When messages were ready, somebody should have been free to take them, and nobody did.',
    alerts: ['WorkerStuck'],
    names: ['works', 'stuck'],
    w: 8,
    queries: [{ expr: max('queue', gauge('workerStuck')), legend: '{{queue}}' }],
  }),
]

export const truth = [
  bars({
    title: 'Lost attempts',
    what: 'Attempts that ended without a word, as the run after them found: a killed worker, a lost lock.',
    alerts: ['TasksLost'],
    unit: 'short',
    w: 8,
    queries: [
      { expr: `${sum('queue, task_name', counted('lost', {}, '$__interval'))} > 0`, legend: '{{queue}} {{task_name}}' },
    ],
    links: [
      traces('Lost attempts', `{ name = "${spanOf(of('task_name'))}" && span.${spanOf('outcome')} = "lost" }`),
      logLines(
        'Lines of lost attempts',
        `{service=~".+", level="error"} | json | message="task.lost" | task_name="${of('task_name')}"`,
      ),
    ],
  }),
  lines({
    title: 'Telemetry errors',
    what: 'Faults of telemetry itself per second, by part and reason. No task was affected.',
    alerts: ['TelemetryErrors'],
    unit: 'suffix:/s',
    w: 8,
    queries: [{ expr: sum('part, reason', rate('telemetryErrors')), legend: '{{part}} {{reason}}' }],
  }),
  lines({
    title: 'Label overflow',
    what: 'Label values and series beyond their cap, so far: they are counted under "other".',
    alerts: ['LabelOverflow'],
    unit: 'short',
    w: 8,
    queries: [{ expr: sum('label', gauge('labelOverflow')), legend: '{{label}}' }],
  }),
]
