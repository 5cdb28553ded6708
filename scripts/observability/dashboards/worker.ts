// Workers: who is there, is it healthy, and does it tell the truth?
import { dashboard } from '../frame.ts'
import { cell, lines as logLines, traces } from '../links.ts'
import { lines, number } from '../panels.ts'
import { max, named, nameOf, orZero, RANGE, sum } from '../phrases.ts'
import { table } from '../table.ts'
import { counted, gauge, series } from './worker/words.ts'
import { truth, work } from './worker/work.ts'

const PROCESS = '{{app}} {{worker}} {{instance}}'
const reporting = `${nameOf('workerInfo')}{app=~"$app",worker=~"$worker"}`
const seen = `last_over_time(${reporting}[${RANGE}])`

const EACH = 'app, worker, version, environment, instance'

const now = [
  number({
    title: 'Processes',
    what: 'Processes that say who they are, and are scraped.',
    alerts: ['WorkerGone'],
    w: 4,
    expr: orZero(`count(${reporting})`),
  }),
  number({
    title: 'Cannot be scraped',
    what: 'Processes that reported in the time shown and that Prometheus cannot reach now.',
    alerts: ['WorkerDown'],
    bad: 1,
    w: 4,
    expr: orZero(`count((up == 0) and on (instance) ${seen})`),
  }),
  number({
    title: 'Gone',
    what: 'Workers, by app and name, that reported in the time shown and of which no process is left.',
    alerts: ['WorkerGone'],
    bad: 1,
    w: 4,
    expr: orZero(`count(count by (app, worker) (${seen}) unless count by (app, worker) (${reporting}))`),
  }),
  number({
    title: 'Oldest running task',
    what: 'How long the oldest attempt that still runs has been running.',
    unit: 's',
    w: 4,
    none: 'nothing runs',
    expr: max('', gauge('oldestRunning')),
  }),
  number({
    title: 'Event-loop lag p99',
    what: 'How late the latest of all event loops runs its timers.',
    alerts: ['EventLoopLagHigh'],
    lines: ['event-loop-lag'],
    unit: 's',
    w: 4,
    none: 'not watched',
    expr: max('', gauge('eventLoopLag', { quantile: '0.99' })),
  }),
  number({
    title: 'Telemetry errors',
    what: 'Faults of telemetry itself in the time shown. No task was affected, but what is shown may have gaps.',
    alerts: ['TelemetryErrors'],
    bad: 1,
    w: 4,
    expr: orZero(`round(${sum('', counted('telemetryErrors'))})`),
  }),
]

const processes = table({
  title: 'Who was there',
  what: 'Every process that reported in the time shown, with its version. Gone is a process that ended or cannot be scraped, and a version that was replaced.',
  alerts: ['WorkerDown', 'WorkerGone'],
  w: 24,
  by: { app: 'App', worker: 'Worker', version: 'Version', environment: 'Environment', instance: 'Instance' },
  columns: [
    {
      name: 'State',
      expr: `max by (${EACH}) (${reporting}) or max by (${EACH}) (${seen}) * 0`,
      words: { '0': ['gone', 'red'], '1': ['up', 'green'] },
    },
    {
      name: 'Last seen',
      expr: `max by (${EACH}) (max_over_time(timestamp(${reporting})[${RANGE}:15s])) * 1000`,
      unit: 'dateTimeAsIso',
    },
  ],
  sortBy: 'Worker',
  ascending: true,
  links: [
    logLines('Its last lines', `{service="${cell('App')}-${cell('Worker')}"}`),
    traces('Its traces', `{ resource.service.name = "${cell('App')}-${cell('Worker')}" }`),
  ],
})

const health = [
  lines({
    title: 'Event-loop lag',
    what: 'How late the event loop ran its timers, p99 and the worst between two samples. A blocked loop renews no lock and answers no heartbeat.',
    alerts: ['EventLoopLagHigh'],
    lines: ['event-loop-lag'],
    unit: 's',
    queries: [
      { expr: named(series('eventLoopLag', { quantile: '0.99' })), legend: `${PROCESS} p99` },
      { expr: named(series('eventLoopLag', { quantile: '1' })), legend: `${PROCESS} worst` },
    ],
  }),
  lines({
    title: 'CPU',
    what: "CPU time, as a part of one core, which is what one event loop can use, or of the container's limit where that is less.",
    alerts: ['WorkerCpuHigh'],
    lines: ['cpu'],
    unit: 'percentunit',
    queries: [
      {
        expr: named(`(rate(${series('cpu')}[${'$__rate_interval'}]) / clamp_max(${series('cpuLimit')}, 1))`),
        legend: PROCESS,
      },
    ],
  }),
  lines({
    title: 'Memory',
    what: 'Resident memory and JavaScript heap, and the limit of the container where there is one.',
    alerts: ['WorkerMemoryHigh'],
    unit: 'bytes',
    queries: [
      { expr: named(series('residentMemory')), legend: `${PROCESS} resident` },
      { expr: named(series('heapUsed')), legend: `${PROCESS} heap` },
      { expr: named(series('memoryLimit')), legend: `${PROCESS} limit` },
    ],
  }),
  lines({
    title: 'Memory, as a part of its limit',
    what: 'Resident memory as a part of what the container may use. Only where there is a limit.',
    alerts: ['WorkerMemoryHigh'],
    lines: ['memory'],
    unit: 'percentunit',
    queries: [{ expr: named(`(${series('residentMemory')} / ${series('memoryLimit')})`), legend: PROCESS }],
  }),
]

export const worker = dashboard({
  name: 'worker',
  title: 'Workers',
  what: 'Who is there, is it healthy, and does it tell the truth? The figures of processes are from watch().',
  choices: ['queue', 'task'],
  rows: { Now: now, Processes: [processes], Health: health, Work: work, 'Lost, and faults of telemetry': truth },
})
