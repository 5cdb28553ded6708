// A cluster whose workers count and whose primary shows: real processes, one of them killed.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Job, Processor } from 'bullmq'
import { AggregatorRegistry, Registry } from 'prom-client'
import { bullmq } from 'taskspan/bullmq'
import { render } from 'taskspan/metrics'
import { collectMetrics, reportMetrics } from 'taskspan/processes'
import { telemetry } from 'taskspan/telemetry'
import { expect, it, onTestFinished, vi } from 'vitest'
import { openQueue, own, queueName } from '../support/bullmq.ts'

// Each starts processes of its own, and a busy machine takes seconds for one.
vi.setConfig({ testTimeout: 90_000 })
const patience = { timeout: 60_000 }

const fleet = fileURLToPath(new URL('../support/cluster-fleet.ts', import.meta.url))

async function start(aggregate = false) {
  const queue = openQueue(queueName('render'))
  const given = JSON.stringify({ queue: queue.name, aggregate, ...own() })
  const primary = fork(fleet, [given], { execArgv: ['--import', 'tsx'] })
  onTestFinished(() => void primary.kill('SIGKILL'))
  await once(primary, 'message')
  let added = 0
  const run = async (name: string, count: number): Promise<void> => {
    await queue.addBulk(Array.from({ length: count }, () => ({ name, data: {} })))
    added += count
    const ended = async () => Object.values(await queue.getJobCounts('completed', 'failed')).reduce((a, b) => a + b)
    await expect.poll(ended, patience).toBe(added)
  }
  return { queue, run, ask: (word: string) => ask(primary, word) }
}

async function ask(primary: ChildProcess, word: string): Promise<string> {
  const answer = once(primary, 'message')
  primary.send(word)
  return String((await answer)[0])
}

/** The sum of a metric's series whose line holds all of these words. */
function sum(body: string, name: string, ...words: string[]): number {
  const lines = body
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && words.every((word) => line.includes(word)))
  return lines.reduce((total, line) => total + Number(/\} (\S+)/.exec(line)?.[1]), 0)
}

it('one /metrics in the primary shows all workers, and what a killed one counted stays counted', async () => {
  const { queue, run, ask } = await start()
  await run('works', 30)
  await run('fails', 3)
  const done = async () => sum(await ask('classic'), 'taskiq_tasks_total')
  await expect.poll(done, patience).toBe(33)
  await queue.addBulk(Array.from({ length: 8 }, () => ({ name: 'holds', data: {} })))
  const inProgress = async () => sum(await ask('classic'), 'taskiq_tasks_in_progress', 'holds')
  await expect.poll(inProgress, patience).toBe(8)

  const open = await ask('openMetrics')
  expect(open).toContain('# TYPE taskiq_tasks counter')
  expect(open).toMatch(/taskiq_task_failures_total\{.*error_type="RangeError"\} 3 # \{trace_id="[0-9a-f]{32}"/)
  expect(open.endsWith('# EOF\n')).toBe(true)
  expect(sum(open, 'taskiq_tasks_duration_seconds_count', 'works')).toBe(30)

  await ask('kill')
  const after = await ask('classic')
  expect(sum(after, 'taskiq_tasks_total')).toBe(33)
  expect(sum(after, 'taskiq_tasks_duration_seconds_count')).toBe(33)
  // Gauges are of those that live.
  expect(sum(after, 'taskiq_tasks_in_progress', 'holds')).toBe(4)

  // A worker that closes tells the rest before it goes.
  const last = await ask('end')
  expect(sum(last, 'taskiq_tasks_total', 'holds', 'success')).toBe(4)
  expect(sum(last, 'taskiq_tasks_in_progress', 'holds')).toBe(0)
})

it("prom-client's AggregatorRegistry adds our metrics up as well, where somebody uses it already", async () => {
  const { run, ask } = await start(true)
  await run('works', 20)
  await run('fails', 2)
  const body = await ask('classic')
  expect(sum(body, 'taskiq_tasks_total', 'works', 'success')).toBe(20)
  expect(sum(body, 'taskiq_tasks_duration_seconds_count')).toBe(22)
  expect(sum(body, 'taskiq_tasks_duration_seconds_bucket', 'le="+Inf"')).toBe(22)
  expect(sum(body, 'taskiq_task_failures_total', 'RangeError')).toBe(2)
})

it('render() shows an aggregated registry right in both formats, in any order', async () => {
  const registries = [new Registry(), new Registry()]
  for (const registry of registries) {
    const handler: Processor = bullmq(telemetry({ registry, logging: false }))(async () => {})
    const job = {
      id: '1',
      name: 'render',
      data: {},
      opts: {},
      attemptsMade: 0,
      queueName: 'clips',
      timestamp: Date.now(),
    }
    await handler(job as unknown as Job)
  }
  const json = await Promise.all(registries.map((registry) => registry.getMetricsAsJSON()))
  const both = AggregatorRegistry.aggregate(json as never)
  for (const format of ['', 'application/openmetrics-text', '', 'application/openmetrics-text']) {
    const { body } = await render(both, format)
    expect(sum(body, 'taskiq_tasks_total')).toBe(2)
    expect(body).toContain(format === '' ? '# TYPE taskiq_tasks_total counter' : '# TYPE taskiq_tasks counter')
    expect(sum(body, 'taskiq_tasks_duration_seconds_count')).toBe(2)
  }
})

it("a process that is nobody's worker keeps its numbers", async () => {
  const { send } = process
  const registry = new Registry()
  const t = telemetry({ registry, logging: false })
  const handler: Processor = bullmq(t)(async () => {})
  delete process.send
  const reporting = reportMetrics(t)
  Object.assign(process, { send })
  await handler({ name: 'a', opts: {}, attemptsMade: 0, queueName: 'q', timestamp: 0 } as unknown as Job)
  await reporting.close()
  expect(sum((await render(registry)).body, 'taskiq_tasks_total')).toBe(1)
})

it('a worker that was disconnected, and works on, keeps what it can tell nobody', async () => {
  const script = `
    import { render } from './src/middleware/metrics.ts'
    import { reportMetrics } from './src/processes/index.ts'
    import { telemetry } from './src/telemetry.ts'
    import { fakeBroker } from './src/testing.ts'
    const t = telemetry({ logging: false })
    const reporting = reportMetrics(t, { intervalMs: 100 })
    const broker = fakeBroker(t)
    broker.consume('q', () => {})
    process.disconnect()
    broker.deliver('q', { name: 'a' })
    await broker.settled(1)
    await new Promise((resolve) => setTimeout(resolve, 250))
    await reporting.close()
    console.log((await render(t.registry)).body)
  `
  const args = ['--import', 'tsx', '--input-type=module', '-e', script]
  const worker = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  onTestFinished(() => void worker.kill('SIGKILL'))
  let body = ''
  worker.stdout?.on('data', (chunk) => {
    body += chunk
  })
  await once(worker, 'close')
  expect(sum(body, 'taskiq_tasks_total')).toBe(1)
})

it('what is not a cluster, and an interval that floods, are refused', () => {
  const t = telemetry({ registry: new Registry(), logging: false })
  expect(() => collectMetrics(t, {} as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  expect(() => collectMetrics({} as never, {} as never)).toThrow(/pass what telemetry\(\) gave/)
  expect(() => reportMetrics({} as never)).toThrow(/pass what telemetry\(\) gave/)
  expect(() => reportMetrics(t, { intervalMs: 1 })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  expect(() => reportMetrics(t, { interval: 1 } as never)).toThrow(expect.objectContaining({ code: 'UNKNOWN_OPTION' }))
})
