// Cron: croner, node-cron and a plain timer, each run a trace of its own. Run: npx tsx examples/02-cron.ts
// prints: taskiq\.cleanup_exports .*✓
// prints: taskiq\.sync_prices .*✓
// prints: taskiq\.ping_encoder .*✗ failure
// prints: taskiq_cron_next_run_timestamp_seconds\{schedule="nightly_report"\} \d+
// prints: taskiq_cron_drift_seconds_count\{schedule="cleanup_exports"\} 2
// prints: taskiq_cron_overlaps_total\{schedule="ping_encoder"\} \d+
import { setTimeout as pause } from 'node:timers/promises'
import { Cron } from 'croner'
import nodeCron from 'node-cron'
import { register } from 'prom-client'
import { cron } from 'taskspan/cron'
import { render } from 'taskspan/metrics'
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'

const sdk = start({ app: 'shop', worker: 'scheduler' }) // to OTEL_EXPORTER_OTLP_ENDPOINT, or as waterfalls to this terminal
const tick = cron(telemetry())

// A timer says nothing of itself, so its interval is given. Its runs take longer than that: each overlap is counted.
let pings = 0
const ping = tick(
  'ping_encoder',
  async () => {
    await pause(450)
    if (pings++ === 0) throw new Error('encoder does not answer')
  },
  { intervalMs: 400 },
)
const timer = setInterval(() => ping().catch(() => {}), 400)

// With its expression a schedule is in the metrics before it has ever run: alert on the job that never starts.
const at = { timezone: 'Europe/Berlin' }
const nightly = new Cron(
  '0 3 * * *',
  at,
  tick('nightly_report', () => {}, { schedule: '0 3 * * *', ...at }),
)

// Croner and node-cron say themselves when a run was due: drift, missed and next runs need nothing more.
const sync = nodeCron.schedule(
  '* * * * * *',
  tick('sync_prices', () => pause(50)),
)
await new Promise<void>((done) => {
  const cleanup = async (job: Cron) => {
    await pause(30)
    if (job.runsLeft() === 0) done()
  }
  new Cron('* * * * * *', { maxRuns: 2 }, tick('cleanup_exports', cleanup))
})

nightly.stop()
clearInterval(timer)
await sync.destroy()
await pause(500) // the runs under way
await sdk.close()

const { body } = await render(register)
for (const line of body.split('\n')) if (/^taskiq_cron_(?!.*_bucket)/.test(line)) console.log(line)
