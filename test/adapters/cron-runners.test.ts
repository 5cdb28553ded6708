// Runners by the clock on the wall: setInterval, croner and node-cron side by side, and a process that ends.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cron } from 'taskspan/cron'
import { describe, expect, it } from 'vitest'
import { croner, missed, nodecron } from '../support/cron.ts'
import { record } from '../support/record.ts'

describe('by the clock on the wall', () => {
  it('ten runs of a timer are ten traces', async () => {
    const { spans, metrics, t } = await record()
    const timer = setInterval(
      cron(t)('cleanup', () => {}, { intervalMs: 5 }),
      5,
    )
    const runs = await spans.waitFor('taskiq.cleanup', 10)
    clearInterval(timer)
    expect(new Set(runs.map((span) => span.traceId)).size).toBe(10)
    expect(runs.every((span) => span.parentSpanId === undefined && span.links.length === 0)).toBe(true)
    expect(await metrics.value('taskiq_cron_interval_seconds')).toBe(0.005)
  })

  it('a blocked event loop makes a timer late and miss runs', async () => {
    const recorded = await record()
    const run = cron(recorded.t)('cleanup', () => {}, { intervalMs: 20 })
    const timer = setInterval(run, 20)
    await recorded.spans.waitFor('taskiq.cleanup', 2)
    recorded.spans.reset()
    const before = (await missed(recorded)) ?? 0
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 150)
    await recorded.spans.waitFor('taskiq.cleanup', 1)
    clearInterval(timer)
    expect(Number(await missed(recorded)) - before).toBeGreaterThanOrEqual(5)
    expect(recorded.logs.named('cron.missed').at(-1)?.count).toBeGreaterThanOrEqual(5)
  })

  it('croner and node-cron start a run each second, and its drift is known', async () => {
    const { spans, metrics, t } = await record()
    const tick = cron(t)
    const job = croner(
      '* * * * * *',
      {},
      tick('by croner', async () => {}),
    )
    const task = nodecron(
      '* * * * * *',
      {},
      tick('by node-cron', () => {}),
    )
    const runs = await Promise.all([spans.waitFor('taskiq.by croner', 2), spans.waitFor('taskiq.by node-cron', 2)])
    job.stop()
    await task.stop()
    for (const [one, two] of runs) {
      const [due, then] = [one, two].map((span) => Date.parse(String(span?.attributes['taskiq.schedule.time'])))
      expect(Number(then) - Number(due)).toBeGreaterThanOrEqual(1000)
      expect(Number(then) % 1000).toBe(0)
      const drift = Number(one?.attributes['taskiq.schedule.drift_ms'])
      expect(drift).toBeGreaterThanOrEqual(0)
      expect(drift).toBeLessThanOrEqual(Number(one?.startedAt) - Number(due) + 5) // the SDK's clock is another
      expect(one?.traceId).not.toBe(two?.traceId)
    }
    for (const schedule of ['by croner', 'by node-cron']) {
      const count = spans.named(`taskiq.${schedule}`).length
      expect(await metrics.value('taskiq_cron_drift_seconds_count', { schedule })).toBe(count)
      expect(await metrics.value('taskiq_cron_interval_seconds', { schedule })).toBe(1)
    }
  })
})

it('a tick keeps no process alive: without a runner it ends by itself', async () => {
  const script = `
    import { cron } from 'taskspan/cron'
    import { telemetry } from 'taskspan/telemetry'
    const tick = cron(telemetry())
    await tick('cleanup', () => {}, { schedule: '* * * * * *', timezone: 'Europe/Berlin' })()
    await tick('sweep', () => {}, { intervalMs: 1000 })()
    tick('never', () => {}, { schedule: '0 3 * * *' })
    console.log(process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length, 'timers')
  `
  const options = { cwd: join(import.meta.dirname, '../..'), timeout: 20_000 }
  const args = ['--import', 'tsx', '--input-type=module', '-e', script]
  const { stdout } = await promisify(execFile)(process.execPath, args, options) // rejects unless it ends with 0
  const lines = stdout.trim().split('\n')
  expect(lines).toContain('0 timers')
  expect(lines).toHaveLength(3) // and one task.succeeded for each run
})

it('a runner that only looks like croner, with a time zone that is no text, does not block the process', async () => {
  const runner = { options: { timezone: -2.7e235 }, getPattern: () => '0 0 31 2 *', getOnce: () => null }
  const tick = cron()('nightly', async (_: unknown) => 'done')
  expect(await tick(runner)).toBe('done')
})
