// One scrape in either format, in any order, whatever prom-client has done to the registry and whatever a collector does.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry, Summary } from 'prom-client'
import { metrics, render } from 'taskspan/metrics'
import { telemetry } from 'taskspan/telemetry'
import { recordMetrics, recordSpans } from 'taskspan/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type Family, parse } from '../support/exposition.ts'
import { faultsOf } from '../support/faults.ts'
import { gate, runner, turns } from '../support/run.ts'

const { PROMETHEUS_CONTENT_TYPE: CLASSIC, OPENMETRICS_CONTENT_TYPE: OPEN_METRICS } = Registry
const SCRAPER = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1'

/** A registry with ours, prom-client's defaults, and one of each kind of the user's. */
async function full(): Promise<Registry> {
  const { registry } = recordMetrics()
  await using _ = recordSpans()
  const run = runner(telemetry({ registry, logging: false }), { settle: () => {} })
  await run({ name: 'with "quotes", \\ and\nlines', queue: 'ünïcode {}' })
  await run({ waitMs: 3 }, () => {
    throw new RangeError('x')
  })
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  new Counter({ name: 'orders_total', help: 'A line\nand \\ another.', labelNames: ['a'], registers }).inc({
    a: '"\n\\',
  })
  new Counter({ name: 'payments', help: 'Without a suffix.', registers }).inc(2)
  new Gauge({ name: 'level', help: 'h', registers }).set(-1.5e-7)
  new Histogram({ name: 'size', help: 'h', labelNames: ['a'], buckets: [1, 2], registers }).observe({ a: 'x' }, 1.5)
  new Summary({ name: 'latency', help: 'h', percentiles: [0.5], registers }).observe(1)
  return registry
}

async function classic(registry: Registry): Promise<Map<string, Family>> {
  const { contentType, body } = await render(registry)
  expect(contentType).toBe(CLASSIC)
  return parse(body, 'classic')
}

async function openMetrics(registry: Registry): Promise<Map<string, Family>> {
  const { contentType, body } = await render(registry, SCRAPER)
  expect(contentType).toBe(OPEN_METRICS)
  return parse(body, 'openmetrics')
}

/** A scrape by prom-client itself, as the user's own endpoint does it. */
async function theirs(registry: Registry, contentType: typeof CLASSIC | typeof OPEN_METRICS) {
  registry.setContentType(contentType as never)
  return parse(await registry.metrics(), contentType === CLASSIC ? 'classic' : 'openmetrics')
}

const SCRAPES = {
  classic: (registry: Registry) => classic(registry),
  openMetrics: (registry: Registry) => openMetrics(registry),
  theirClassic: (registry: Registry) => theirs(registry, CLASSIC),
  theirOpenMetrics: (registry: Registry) => theirs(registry, OPEN_METRICS),
} as const

it('gives the classic format by default, with every family and value', async () => {
  const families = await classic(await full())
  expect(families.get('orders_total')).toMatchObject({
    ...{ type: 'counter', help: 'A line\nand \\ another.' },
    samples: [{ name: 'orders_total', labels: { a: '"\n\\' }, value: 1 }],
  })
  expect(families.get('payments')?.samples).toMatchObject([{ name: 'payments', value: 2 }])
  expect(families.get('taskiq_tasks_total')?.samples.map(({ labels }) => [labels.task_name, labels.queue])).toEqual([
    ['with "quotes", \\ and\nlines', 'ünïcode {}'],
    ['render', 'clips'],
  ])
  expect(families.has('nodejs_eventloop_lag_seconds')).toBe(true)
})

it('gives OpenMetrics, with exemplars, to whoever accepts it', async () => {
  const registry = await full()
  const families = await openMetrics(registry)
  expect(families.get('orders')?.samples).toMatchObject([{ name: 'orders_total', value: 1 }])
  expect(families.get('payments')?.samples).toMatchObject([{ name: 'payments_total', value: 2 }])
  expect(families.get('taskiq_tasks')?.samples).toHaveLength(2)
  expect(families.get('taskiq_task_failures')?.samples[0]?.exemplar?.labels).toHaveProperty('trace_id')
  expect((await render(registry, 'text/plain')).contentType).toBe(CLASSIC)
  expect((await render(registry, '*/*')).contentType).toBe(CLASSIC)
})

it('leaves the registry as it was', async () => {
  const registry = await full()
  const names = registry.getMetricsAsArray().map(({ name }) => name)
  await openMetrics(registry)
  expect(registry.contentType).toBe(CLASSIC)
  expect(registry.getMetricsAsArray().map(({ name }) => name)).toEqual(names)
  await theirs(registry, OPEN_METRICS)
  expect(registry.getSingleMetric('taskiq_tasks_total')).toHaveProperty('name', 'taskiq_tasks_total')
})

const kinds = Object.keys(SCRAPES) as (keyof typeof SCRAPES)[]
const orders = kinds.flatMap((a) => kinds.flatMap((b) => kinds.map((c) => [a, b, c] as const)))

it.each(orders)('is right in any order, between prom-client’s own scrapes: %s, %s, %s', async (...order) => {
  const registry = await full()
  for (const kind of order) {
    const families = await SCRAPES[kind](registry)
    const isOpen = kind === 'openMetrics' || kind === 'theirOpenMetrics'
    const tasks = families.get(isOpen ? 'taskiq_tasks' : 'taskiq_tasks_total')
    expect(tasks).toMatchObject({ type: 'counter', samples: [{ value: 1 }, { value: 1 }] })
    expect(tasks?.samples.map(({ name }) => name)).toEqual(['taskiq_tasks_total', 'taskiq_tasks_total'])
    const durations = families.get('taskiq_tasks_duration_seconds')?.samples ?? []
    expect(durations.filter(({ name }) => name.endsWith('_count')).map(({ value }) => value)).toEqual([1, 1])
    // prom-client's own classic scrape loses the suffix of the user's counters after one of OpenMetrics: ours must not.
    if (kind === 'theirClassic') continue
    expect(families.get(isOpen ? 'orders' : 'orders_total')?.samples).toMatchObject([
      { name: 'orders_total', value: 1 },
    ])
  }
})

it('renders scrapes at the same time, each in its own format', async () => {
  const registry = await full()
  const all = await Promise.all([openMetrics(registry), classic(registry), openMetrics(registry), classic(registry)])
  expect(all.map((families) => families.has('taskiq_tasks_total'))).toEqual([false, true, false, true])
})

describe('a collector that fails', () => {
  it.each<[string, () => void | Promise<void>]>([
    [
      'throws',
      () => {
        throw new Error('no disk')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no disk'))],
  ])('and %s is left out and counted; everything else is there', async (_, collect) => {
    const registry = await full()
    new Gauge({ name: 'disk_free', help: 'h', registers: [registry], collect })
    new Gauge({ name: 'after', help: 'h', registers: [registry] }).set(1)
    const faults = faultsOf('metrics', 'collect')
    for (const scrape of [classic, openMetrics]) {
      const families = await scrape(registry)
      expect(families.has('disk_free')).toBe(false)
      expect(families.get('after')?.samples).toHaveLength(1)
      expect(families.get('level')?.samples).toMatchObject([{ value: -1.5e-7 }])
    }
    expect(faults()).toBe(2)
  })

  it('and never settles is left out after 5 s, and not asked again until it has settled', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const registry = new Registry()
    const { open, opened } = gate()
    let asked = 0
    const collect = (): Promise<void> => {
      asked++
      return opened
    }
    const slow = new Gauge({ name: 'disk_free', help: 'h', registers: [registry], collect })
    slow.set(7)
    new Gauge({ name: 'level', help: 'h', registers: [registry] }).set(1)
    const faults = faultsOf('metrics', 'collect')

    const first = classic(registry)
    await vi.advanceTimersByTimeAsync(4_999)
    expect(faults()).toBe(0)
    await vi.advanceTimersByTimeAsync(1)
    expect([...(await first).keys()]).toEqual(['level'])
    expect([...(await openMetrics(registry)).keys()]).toEqual(['level']) // at once: no time passes here
    expect([asked, faults()]).toEqual([1, 2])

    open()
    await turns()
    expect((await classic(registry)).get('disk_free')?.samples).toMatchObject([{ value: 7 }])
    expect([asked, faults(), vi.getTimerCount()]).toEqual([2, 2, 0])
  })
})

it('renders a registry that has nothing, and one that has no series yet', async () => {
  expect(await render(new Registry())).toEqual({ contentType: CLASSIC, body: '\n' })
  expect((await render(new Registry(), SCRAPER)).body).toBe('# EOF\n')
  const { registry } = recordMetrics()
  metrics({ registry })
  expect((await classic(registry)).get('taskiq_tasks_total')).toMatchObject({ type: 'counter', samples: [] })
  expect((await openMetrics(registry)).get('taskiq_tasks')).toMatchObject({ type: 'counter', samples: [] })
})

it('renders infinities and NaN as the formats want them', async () => {
  const registry = new Registry()
  const gauge = new Gauge({ name: 'odd', help: 'h', labelNames: ['n'], registers: [registry] })
  gauge.set({ n: 'up' }, Number.POSITIVE_INFINITY)
  gauge.set({ n: 'down' }, Number.NEGATIVE_INFINITY)
  gauge.set({ n: 'none' }, Number.NaN)
  for (const families of [await classic(registry), await openMetrics(registry)]) {
    expect(families.get('odd')?.samples.map(({ value }) => value)).toEqual([
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      Number.NaN,
    ])
  }
})

it.each<['classic' | 'openmetrics', string]>([
  ['classic', 'a 1'],
  ['classic', '# TYPE a gauge\na 1\n'],
  ['classic', '# HELP a h\n# TYPE a counter\na_total 1\n'],
  ['classic', '# HELP a h\n# TYPE a gauge\na{b="c",b="d"} 1\n'],
  ['classic', '# HELP a h\n# TYPE a gauge\na{b="c\\x"} 1\n'],
  ['classic', '# HELP a h\n# TYPE a gauge\na one\n'],
  ['classic', '# HELP a h\n# TYPE a gauge\na 1\na 1\n'],
  ['classic', '# HELP a h\n# TYPE a counter\na 1 # {t="x"} 1 1\n'],
  ['classic', '# HELP a h\n# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n'],
  ['classic', '# HELP a h\n# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n'],
  ['openmetrics', '# HELP a h\n# TYPE a gauge\na 1\n'],
  ['openmetrics', '# HELP a h\n# TYPE a gauge\n\na 1\n# EOF\n'],
  ['openmetrics', '# HELP a_total h\n# TYPE a_total counter\na_total 1\n# EOF\n'],
  ['openmetrics', '# HELP a h\n# TYPE a gauge\na 1 # {t="x"} 1 1\n# EOF\n'],
  ['openmetrics', `# HELP a h\n# TYPE a counter\na_total 1 # {t="${'x'.repeat(128)}"} 1 1\n# EOF\n`],
])('is read here as strictly as a server reads it: %s %j', (format, text) => {
  expect(() => parse(text, format)).toThrow()
})
