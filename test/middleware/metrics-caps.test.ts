// What keeps a mistake in a name from taking Prometheus down, and the user's own labels.
import type { Task } from 'taskspan'
import { type MetricsOptions, metrics } from 'taskspan/metrics'
import { recordMetrics } from 'taskspan/testing'
import { describe, expect, it } from 'vitest'
import { faultsOf } from '../support/faults.ts'
import { runner } from '../support/run.ts'

function measuring(options: MetricsOptions = {}) {
  const recorded = recordMetrics()
  const run = runner(metrics({ registry: recorded.registry, ...options }), { settle: () => {} })
  const values = async (name: string, label: string): Promise<Set<string | number>> =>
    new Set((await recorded.series(name)).map(({ labels }) => labels[label] ?? ''))
  return { ...recorded, run, values }
}

const numbered = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`)

describe('caps', () => {
  it('20,000 task names are 500 and other, all counted', async () => {
    const { run, values, value } = measuring()
    for (const name of numbered(20_000, 'order-')) await run({ name })
    const names = await values('taskiq_tasks_total', 'task_name')
    expect(names.size).toBe(501)
    expect(names).toContain('other')
    expect(await value('taskiq_tasks_total')).toBe(20_000)
    expect(await value('taskiq_tasks_total', { task_name: 'other' })).toBe(19_500)
    expect(await value('taskiq_label_overflow_total', { label: 'task_name' })).toBeGreaterThanOrEqual(19_500)
  })

  it('1,000 error types are 100 and other', async () => {
    const { run, values, value } = measuring()
    for (const name of numbered(1_000, 'E')) {
      await run({}, () => {
        throw Object.assign(new Error('x'), { name })
      })
    }
    expect((await values('taskiq_task_failures_total', 'error_type')).size).toBe(101)
    expect(await value('taskiq_task_failures_total')).toBe(1_000)
    expect(await value('taskiq_label_overflow_total', { label: 'error_type' })).toBeGreaterThanOrEqual(900)
  })

  it('1,000 queues or schedules are 200 and other', async () => {
    const { run, values, value } = measuring()
    for (const queue of numbered(1_000, 'q')) await run({ queue, schedule: { id: `s-${queue}` } })
    expect((await values('taskiq_tasks_total', 'queue')).size).toBe(201)
    expect((await values('taskiq_cron_last_success_timestamp_seconds', 'schedule')).size).toBe(201)
    expect(await value('taskiq_label_overflow_total', { label: 'queue' })).toBeGreaterThanOrEqual(800)
  })

  it('label sets are 1,000 per histogram and 5,000 per other metric; beyond them outcomes are still told apart', async () => {
    const { run, series, value } = measuring()
    for (const queue of numbered(100, 'q')) for (const name of numbered(80, 'n')) await run({ queue, name })
    await run({ queue: 'q99', name: 'n79' }, () => {
      throw new Error('x')
    })
    const tasks = await series('taskiq_tasks_total')
    expect(tasks.length).toBeLessThanOrEqual(5_002)
    expect(await value('taskiq_tasks_total')).toBe(8_001)
    expect((await series('taskiq_tasks_duration_seconds_count')).length).toBeLessThanOrEqual(1_002)
    expect(await value('taskiq_tasks_duration_seconds_count')).toBe(8_001)
    const other = { queue: 'other', task_name: 'other', task_type: 'on_demand' }
    expect(await value('taskiq_tasks_total', { ...other, outcome: 'success' })).toBe(3_000)
    expect(await value('taskiq_tasks_total', { ...other, outcome: 'failure' })).toBe(1)
    expect(await value('taskiq_tasks_total', { outcome: 'other' })).toBeUndefined()
    expect(await value('taskiq_tasks_duration_seconds_count', { result: 'other' })).toBeUndefined()
    expect(await value('taskiq_label_overflow_total', { label: 'series' })).toBeGreaterThan(0)
  })

  it('a value is 128 characters at most', async () => {
    const { run, values } = measuring({ labels: { tier: () => 't'.repeat(1_000_000) } })
    await run({ queue: 'q'.repeat(1_000) })
    expect([...(await values('taskiq_tasks_total', 'queue'))]).toEqual(['q'.repeat(128)])
    expect([...(await values('taskiq_tasks_total', 'tier'))]).toEqual(['t'.repeat(128)])
  })
})

describe('labels of the user', () => {
  it('stand on the task metrics, made from the task', async () => {
    const { run, series } = measuring({ labels: { tier: (task: Task) => (task.priority === 1 ? 'gold' : undefined) } })
    await run({ priority: 1, waitMs: 5 })
    await run({ waitMs: 5 }, () => {
      throw new Error('x')
    })
    for (const name of [
      'taskiq_tasks_total',
      'taskiq_tasks_duration_seconds_count',
      'taskiq_task_wait_seconds_count',
    ]) {
      expect((await series(name)).map(({ labels }) => labels.tier)).toEqual(['gold', ''])
    }
    expect((await series('taskiq_task_failures_total')).map(({ labels }) => labels.tier)).toEqual([''])
    expect((await series('taskiq_tasks_in_progress'))[0]?.labels).not.toHaveProperty('tier')
  })

  it('have 20 values each, and other', async () => {
    const { run, values, value } = measuring({ labels: { tier: (task) => `tier-${task.id}` } })
    for (const id of numbered(50, '')) await run({ id })
    expect((await values('taskiq_tasks_total', 'tier')).size).toBe(21)
    expect(await value('taskiq_tasks_total', { tier: 'other' })).toBe(30)
    expect(await value('taskiq_label_overflow_total', { label: 'tier' })).toBeGreaterThanOrEqual(30)
  })

  it.each<[string, () => never]>([
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    [
      'gives what is no text',
      () => ({
        toString() {
          throw new Error('no')
        },
      }),
    ] as never,
  ])('are empty where the function %s, which is counted', async (_, tier) => {
    const faults = faultsOf('metrics', 'labels')
    const { run, series } = measuring({ labels: { tier } })
    await run()
    expect((await series('taskiq_tasks_total'))[0]).toMatchObject({ value: 1, labels: { tier: '' } })
    expect(faults()).toBeGreaterThan(0)
  })

  it.each<[string, unknown]>([
    ['more than three', { a: String, b: String, c: String, d: String }],
    ['a name that Prometheus refuses', { 'my-tier': String }],
    ['a reserved name', { __tier: String }],
    ['an empty name', { '': String }],
    ['a name of ours', { queue: String }],
    ['le', { le: String }],
    ['what is no function', { tier: 'gold' }],
    ['null', null],
    ['a list', [String]],
  ])('are refused at construction: %s', (_, labels) => {
    const make = () => metrics({ registry: recordMetrics().registry, labels: labels as never })
    expect(make).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('labels') }),
    )
  })
})

describe('buckets', () => {
  it('are what the options say', async () => {
    const { run, series } = measuring({ durationBuckets: [1, 2], waitBuckets: [3] })
    await run({ waitMs: 10 })
    const bounds = async (name: string) => (await series(name)).map(({ labels }) => labels.le)
    expect(await bounds('taskiq_tasks_duration_seconds_bucket')).toEqual([1, 2, '+Inf'])
    expect(await bounds('taskiq_task_wait_seconds_bucket')).toEqual([3, '+Inf'])
  })

  it.each<[unknown]>([
    [[]],
    [[2, 1]],
    [[1, 1]],
    [[0, 1]],
    [[1, Number.NaN]],
    [[1, Number.POSITIVE_INFINITY]],
    [['1']],
    [Array.from({ length: 51 }, (_, at) => at + 1)],
    [7],
  ])('are refused at construction: %o', (buckets) => {
    for (const key of ['durationBuckets', 'waitBuckets'] as const) {
      const make = () => metrics({ registry: recordMetrics().registry, [key]: buckets as never })
      expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(key) }))
    }
  })
})
