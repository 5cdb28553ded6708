// One process whose registry stands at the label caps: tells what a series costs it in a scrape.
//   node contender.mjs <prom-client|ours>
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { answering, cpuOf } from '../rounds.mjs'

// As many as the caps let in: 500 task names, 1,000 label sets of each histogram.
const TASKS = Array.from({ length: 1_000 }, (_, at) => ({ name: `task_${at >> 1}`, queue: `queue_${at % 2}`, at }))

const FORMATS = {
  classic: Registry.PROMETHEUS_CONTENT_TYPE,
  openmetrics: Registry.OPENMETRICS_CONTENT_TYPE,
}

const made = await { 'prom-client': promClient, ours }[process.argv[2]]()

answering(async ({ format, scrapes, warmUp }) => {
  const scrape = made[format]
  let text = ''
  const cpu = await cpuOf(async () => {
    for (let n = 0; n < (warmUp ? 2 * scrapes : scrapes); n++) text = await scrape()
  })
  const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length
  return { cost: cpu / scrapes / series, series }
})

async function ours() {
  const { consumer } = await import('taskspan')
  const { metrics, render } = await import('taskspan/metrics')
  const registry = new Registry()
  const adapter = { system: 'memory', read: ({ name, queue }) => ({ name, queue, waitMs: 5 }) }
  const consume = consumer(adapter, metrics({ registry }))
  for (const task of TASKS) await consume(task, () => task.at)
  const scrape = (type) => async () => (await render(registry, type)).body
  return { classic: scrape('text/plain'), openmetrics: scrape('application/openmetrics-text') }
}

// The same series, of prom-client's own metrics: a registry for each format, since a scrape in one spoils the other.
async function promClient() {
  const scrape = (format) => {
    const registry = new Registry()
    registry.setContentType(FORMATS[format])
    fill(registry)
    return () => registry.metrics()
  }
  return { classic: scrape('classic'), openmetrics: scrape('openmetrics') }
}

function fill(registry) {
  const registers = [registry]
  const labelNames = ['queue', 'task_name', 'task_type']
  const histogram = (name, buckets, ...more) =>
    new Histogram({ name, help: name, labelNames: [...labelNames, ...more], buckets, registers })
  const buckets = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400,
  ]
  const duration = histogram('tasks_duration_seconds', buckets, 'result')
  const wait = histogram('task_wait_seconds', buckets.slice(3))
  const ended = new Counter({ name: 'tasks_total', help: 'Ended.', labelNames: [...labelNames, 'outcome'], registers })
  const running = new Gauge({ name: 'in_progress', help: 'Running.', labelNames: ['queue', 'task_name'], registers })
  for (const { name, queue } of TASKS) {
    duration.observe({ queue, task_name: name, task_type: 'on_demand', result: 'ok' }, 0.001)
    wait.observe({ queue, task_name: name }, 0.005)
    ended.inc({ queue, task_name: name, task_type: 'on_demand', outcome: 'success' })
    running.set({ queue, task_name: name }, 0)
  }
}
