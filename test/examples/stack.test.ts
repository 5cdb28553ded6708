// The demo stack's processes, run as compose runs them: each serves its metrics, and the work goes through all of them.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it, onTestFinished, vi } from 'vitest'
import { freePort } from '../../scripts/brokers/ports.ts'
import { newVhostUrl, rabbitMqManagementUrl } from '../support/rabbitmq.ts'
import { bullmqPrefix, redisUrl } from '../support/redis.ts'
import { ROOT } from '../support/staged.ts'

interface Process {
  readonly child: ChildProcess
  metrics(): Promise<string>
  output(): string
}

async function begin(script: readonly string[], env: Readonly<Record<string, string>>): Promise<Process> {
  const port = await freePort()
  const own = {
    TASKSPAN_HOST: '127.0.0.1',
    TASKSPAN_PORT: String(port),
    OTEL_TRACES_EXPORTER: 'none',
    DEMO_API_PORT: '0',
  }
  const args = ['--import', 'tsx', ...script]
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...process.env, ...env, ...own }, stdio: 'pipe' })
  onTestFinished(() => void child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk
    })
  }
  const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return { child, metrics, output: () => output }
}

it('a request becomes a task, a mail, a depth and a schedule; a signal ends each process in good order', async () => {
  const [AMQP_URL, AMQP_MANAGEMENT_URL] = await Promise.all([newVhostUrl(), rabbitMqManagementUrl()])
  const env = { REDIS_URL: redisUrl(), AMQP_URL, AMQP_MANAGEMENT_URL, DEMO_PREFIX: bullmqPrefix(), DEMO_EVERY_MS: '50' }
  const queues = ['--queue', 'render', '--prefix', env.DEMO_PREFIX, '--amqp-queue', 'mail', '--amqp-queue', 'mail.dlq']
  const [mail, render, api, watch] = await Promise.all([
    begin([join('examples/stack', 'mail.ts')], env),
    begin([join('examples/stack', 'render.ts')], env),
    begin([join('examples/stack', 'api.ts')], env),
    begin(['src/cli/main.ts', 'watch', '--interval-ms', '500', ...queues], env),
  ])
  const all = [mail, render, api, watch]
  const within = { timeout: 60_000, interval: 250 }
  const shows = (one: Process, ...wanted: RegExp[]) =>
    vi.waitFor(async () => {
      const text = await one.metrics()
      for (const each of wanted) expect(text, one.output()).toMatch(each)
    }, within)

  await Promise.all([
    shows(api, /^taskiq_messages_sent_total\{queue="render",task_name="render_clip"\} [1-9]/m),
    shows(
      render,
      /^taskiq_tasks_total\{queue="render",task_name="render_clip",task_type="on_demand",outcome="success"\} [1-9]/m,
      /^taskiq_pipelines_total\{pipeline="analysis",outcome="success"\} [1-9]/m,
      /^taskiq_ext_usage_total\{service="whisper",operation="transcribe",unit="gpu_seconds"\}/m,
      /^taskiq_cron_last_success_timestamp_seconds\{schedule="expire_clips"\}/m,
    ),
    shows(
      mail,
      /^taskiq_tasks_total\{queue="mail",task_name="mail_owner",task_type="on_demand",outcome="success"\} [1-9]/m,
    ),
    shows(watch, /^taskiq_queue_depth\{queue="render",state="waiting"\}/m, /^taskiq_queue_depth\{queue="mail.dlq",/m),
  ])
  const mailed = /"request_id":"r-\d+".*"message":"mailed"|"message":"mailed".*"request_id":"r-\d+"/
  await vi.waitFor(() => expect(mail.output()).toMatch(mailed), within)

  const ended = all.map(({ child }) => once(child, 'exit'))
  for (const { child } of all) child.kill('SIGTERM')
  expect(await Promise.all(ended)).toEqual(all.map(() => [0, null]))
}, 120_000)
