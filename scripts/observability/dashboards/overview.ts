// Overview: what fails, how much there is to do, how long it takes, and who does it.
import { dashboard } from '../frame.ts'
import { of, traces } from '../links.ts'
import { lines, logs } from '../panels.ts'
import { share, sum } from '../phrases.ts'
import { now } from './overview/now.ts'
import { failures, red } from './overview/tasks.ts'
import { quantile, rate } from './overview/words.ts'

const ofOperation = [traces('Traces of this operation', `{ name = "${of('operation')}" }`)]
const services = [
  lines({
    title: 'Service operations: p50, p95, p99',
    what: 'How long calls under service() took, by operation. Dots lead to traces.',
    unit: 's',
    exemplars: true,
    queries: [0.5, 0.95, 0.99].map((q) => ({
      expr: quantile(q, 'operation', 'serviceDuration'),
      legend: `{{operation}} p${q * 100}`,
    })),
    links: ofOperation,
  }),
  lines({
    title: 'Service operations: rate',
    what: 'Calls under service() per second.',
    unit: 'suffix:/s',
    w: 6,
    queries: [{ expr: sum('operation', rate('serviceDuration', {}, undefined, '_count')), legend: '{{operation}}' }],
    links: ofOperation,
  }),
  lines({
    title: 'Service operations: errors',
    what: 'Calls under service() that threw, as a part of all.',
    unit: 'percentunit',
    w: 6,
    queries: [
      {
        expr: share(
          sum('operation', rate('serviceDuration', { result: 'error' }, undefined, '_count')),
          sum('operation', rate('serviceDuration', {}, undefined, '_count')),
        ),
        legend: '{{operation}}',
      },
    ],
    links: ofOperation,
  }),
]

// The trace id is written as in the line itself: by that Grafana's data source finds it, and makes it a link.
const LINE =
  '{{.message}} {{.task_name}} {{.step}} {{.error_type}} {{.error_message}} {{if .trace_id}}"trace_id":"{{.trace_id}}"{{end}}'
const log = logs({
  title: 'Warnings and errors',
  what: 'What the chosen workers wrote at warning and above about the chosen tasks. A line leads to its trace.',
  w: 24,
  h: 10,
  logql:
    '{service=~"($app)-?($worker)", level=~"warning|error|critical"} | json ' +
    `| queue=~"$queue" | task_name=~"$task" | line_format \`${LINE}\``,
})

export const overview = dashboard({
  name: 'overview',
  title: 'Overview',
  what: 'What fails, how much there is to do, how long it takes, and who does it. The others go into detail.',
  choices: ['queue', 'task'],
  rows: {
    Now: now,
    Failures: failures,
    'Rate, errors, duration': red,
    'Own services': services,
    Log: [log],
    // Empty on purpose: examples/ shows how a team puts its own panels here.
    'Your business metrics': [],
  },
})
