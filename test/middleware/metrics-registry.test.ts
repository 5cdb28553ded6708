// Living in somebody's prom-client registry: found again, independent, reset, cleared, aggregated, relabelled.
import { type DiagLogger, diag } from '@opentelemetry/api'
import { AggregatorRegistry, Counter, Gauge, Registry, register } from 'prom-client'
import { metrics, render } from 'taskspan/metrics'
import { recordMetrics } from 'taskspan/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { parse } from '../support/exposition.ts'
import { faultsOf } from '../support/faults.ts'
import { gate, runner } from '../support/run.ts'

const OPEN_METRICS = 'application/openmetrics-text'

it('is prom-client’s default registry unless another is given', () => {
  onTestFinished(() => register.clear())
  expect(metrics().registry).toBe(register)
  expect(register.getSingleMetric('taskiq_tasks_total')).toBeDefined()
})

describe('a second instance', () => {
  it('for the same registry has the same instruments and the same running tasks', async () => {
    const { registry, value } = recordMetrics()
    const [one, two] = [metrics({ registry }), metrics({ registry })]
    await runner(one)()
    await runner(two)()
    expect(await value('taskiq_tasks_total')).toBe(2)
    expect(two.running).toBe(one.running)
  })

  it('with other options gets those of the first; that is counted, and said once with the reason', async () => {
    const warn = vi.fn()
    diag.setLogger({ warn } as unknown as DiagLogger, { suppressOverrideMessage: true })
    onTestFinished(() => diag.disable())
    const faults = faultsOf('metrics', 'options_differ')
    const { registry, series } = recordMetrics()
    metrics({ registry, durationBuckets: [1, 2] })
    for (const options of [{ durationBuckets: [5] }, { labels: { tier: () => 'gold' } }, {}]) {
      await runner(metrics({ registry, ...options }))()
    }
    expect((await series('taskiq_tasks_duration_seconds_bucket')).map(({ labels }) => labels.le)).toEqual([
      1,
      2,
      '+Inf',
    ])
    expect((await series('taskiq_tasks_total'))[0]?.labels).not.toHaveProperty('tier')
    expect(faults()).toBe(3)
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.any(String), expect.stringContaining('the first ones hold'))
  })

  it('with the same options is no fault', () => {
    const faults = faultsOf('metrics', 'options_differ')
    const { registry } = recordMetrics()
    for (let n = 0; n < 3; n++) metrics({ registry, durationBuckets: [1, 2], labels: { tier: () => 'gold' } })
    expect(faults()).toBe(0)
  })

  it('for another registry or prefix is independent', async () => {
    const [one, two] = [recordMetrics(), recordMetrics()]
    await runner(metrics({ registry: one.registry }))()
    metrics({ registry: two.registry })
    await runner(metrics({ registry: one.registry, prefix: 'jobs' }))()
    expect(await one.value('taskiq_tasks_total')).toBe(1)
    expect(await one.value('jobs_tasks_total')).toBe(1)
    expect(await two.value('taskiq_tasks_total')).toBeUndefined()
  })

  it('after a hot reload of the package is the same again', async () => {
    const { registry, value } = recordMetrics()
    const before = metrics({ registry })
    await runner(before)()
    vi.resetModules()
    const copy = await import('taskspan/metrics')
    const copied = await import('taskspan')
    expect(copy.metrics).not.toBe(metrics)
    const after = copy.metrics({ registry })
    await copied.consumer<string>({ system: 'memory', read: (name) => ({ name, queue: 'q' }) }, after)(
      'n',
      async () => {},
    )
    await runner(before)()
    expect(await value('taskiq_tasks_total')).toBe(3)
    expect(after.running).toBe(before.running)
  })
})

describe('a foreign metric of one of our names', () => {
  it('is an error at construction that names it, and leaves the registry as it was', () => {
    const registry = new Registry()
    new Gauge({ name: 'taskiq_worker_info', help: 'mine', registers: [registry] })
    expect(() => metrics({ registry })).toThrow(
      expect.objectContaining({
        code: 'METRIC_NAME_TAKEN',
        message: expect.stringContaining("'taskiq_worker_info'"),
        help: expect.stringContaining('prefix'),
      }),
    )
    expect(registry.getMetricsAsArray()).toHaveLength(1)
    expect(() => metrics({ registry, prefix: 'jobs' })).not.toThrow()
  })
})

describe('prom-client’s registry', () => {
  it('resetMetrics() starts from nothing; what runs is still in progress', async () => {
    const { registry, value } = recordMetrics()
    const run = runner(metrics({ registry }))
    await run({ waitMs: 1 })
    const held = gate()
    const running = run({}, () => held.opened)
    registry.resetMetrics()
    expect(await value('taskiq_tasks_total')).toBeUndefined()
    expect(await value('taskiq_tasks_duration_seconds_count')).toBeUndefined()
    expect(await value('taskiq_tasks_in_progress')).toBe(1)
    held.open()
    await running
    expect(await value('taskiq_tasks_in_progress')).toBe(0)
    expect(await value('taskiq_tasks_total')).toBe(1)
    expect(await value('taskiq_tasks_duration_seconds_bucket', { le: '+Inf' })).toBe(1)
  })

  it('clear() takes the metrics out; asked again they are there anew', async () => {
    const { registry, value } = recordMetrics()
    const before = metrics({ registry })
    await runner(before)()
    registry.clear()
    expect((await render(registry)).body).toBe('\n')
    await runner(before)() // into the void, as with any metric of prom-client's own
    await runner(metrics({ registry }))()
    expect(await value('taskiq_tasks_total')).toBe(1)
  })

  it('setDefaultLabels() stands on every series, and a label of ours wins', async () => {
    const { registry } = recordMetrics()
    registry.setDefaultLabels({ pod: 'p-1', queue: 'default' })
    await runner(metrics({ registry }))()
    for (const [accept, format] of [
      ['', 'classic'],
      [OPEN_METRICS, 'openmetrics'],
    ] as const) {
      const families = parse((await render(registry, accept)).body, format)
      const samples = [...families.values()].flatMap((family) => family.samples)
      expect(samples.length).toBeGreaterThan(10)
      for (const { labels } of samples) expect(labels.pod).toBe('p-1')
      expect(samples.find(({ name }) => name === 'taskiq_tasks_total')?.labels.queue).toBe('clips')
    }
    const json = (await registry.getMetricsAsJSON()) as unknown as { name: string; values: { labels: object }[] }[]
    const tasks = json.find(({ name }) => name === 'taskiq_tasks_total')
    expect(tasks?.values[0]?.labels).toMatchObject({ pod: 'p-1', queue: 'clips' })
  })

  it('getMetricsAsJSON() has the shape that prom-client gives', async () => {
    const { registry } = recordMetrics()
    await runner(metrics({ registry, durationBuckets: [10] }))()
    const json = (await registry.getMetricsAsJSON()) as unknown as { name: string }[]
    const labels = { queue: 'clips', task_name: 'render', task_type: 'on_demand', result: 'ok' }
    const name = 'taskiq_tasks_duration_seconds'
    expect(json.find((metric) => metric.name === name)).toEqual({
      ...{ name, type: 'histogram', aggregator: 'sum', help: expect.stringMatching(/\w/) },
      values: [
        { metricName: `${name}_bucket`, labels: { ...labels, le: 10 }, value: 1 },
        { metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: 1 },
        { metricName: `${name}_sum`, labels, value: expect.any(Number) },
        { metricName: `${name}_count`, labels, value: 1 },
      ],
    })
  })

  it('AggregatorRegistry adds up a cluster: counts and what runs are sums, times are the latest', async () => {
    const workers = [recordMetrics(), recordMetrics()] as const
    const held = gate()
    const running = workers.flatMap(({ registry }, at) => {
      const m = metrics({ registry })
      const nextTime = 1_000_000 * (at + 1)
      m.notice?.({ kind: 'planned', schedule: { id: 's', nextTime } })
      return [runner(m)(), runner(m)({}, () => held.opened)]
    })
    await Promise.all([running[0], running[2]])
    const json = await Promise.all(workers.map(({ registry }) => registry.getMetricsAsJSON()))
    const total = recordMetrics(AggregatorRegistry.aggregate(json))
    expect(await total.value('taskiq_tasks_total')).toBe(2)
    expect(await total.value('taskiq_tasks_in_progress')).toBe(2)
    expect(await total.value('taskiq_tasks_duration_seconds_bucket', { le: '+Inf' })).toBe(2)
    expect(await total.value('taskiq_cron_next_run_timestamp_seconds')).toBe(2_000)
    held.open()
    await Promise.all(running)
  })

  it('Registry.merge() takes them along', async () => {
    const { registry } = recordMetrics()
    await runner(metrics({ registry }))()
    const merged = Registry.merge([registry, new Registry()])
    expect(parse((await render(merged)).body, 'classic').get('taskiq_tasks_total')?.samples).toHaveLength(1)
    // A format of its own, scraped by prom-client, leaves that of the first as it is.
    merged.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never)
    const [total] = parse(await merged.metrics(), 'openmetrics').get('taskiq_tasks')?.samples ?? []
    expect(total).toMatchObject({ name: 'taskiq_tasks_total', value: 1 })
    expect(parse(await registry.metrics(), 'classic').get('taskiq_tasks_total')?.samples).toHaveLength(1)
  })

  it('getSingleMetric(), getSingleMetricAsString() and removeSingleMetric() work on ours', async () => {
    const { registry } = recordMetrics()
    await runner(metrics({ registry }))()
    expect(registry.getSingleMetric('taskiq_tasks_total')).toMatchObject({
      name: 'taskiq_tasks_total',
      type: 'counter',
    })
    const text = await registry.getSingleMetricAsString('taskiq_tasks_total')
    expect(parse(`${text}\n`, 'classic').get('taskiq_tasks_total')?.samples).toHaveLength(1)
    registry.removeSingleMetric('taskiq_tasks_total')
    expect(parse((await render(registry)).body, 'classic').has('taskiq_tasks_total')).toBe(false)
  })
})

it('is no hindrance to metrics of the user that come after', () => {
  const { registry } = recordMetrics()
  metrics({ registry })
  expect(() => new Counter({ name: 'orders_total', help: 'Orders.', registers: [registry] })).not.toThrow()
  expect(() => new Counter({ name: 'taskiq_tasks_total', help: 'Mine.', registers: [registry] })).toThrow()
})
