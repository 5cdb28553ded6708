// One environment, four processes: an API, two workers and a scheduler, told apart in one backend.
import { expect, it, onTestFinished } from 'vitest'
import { bullmqPrefix, redisConnection } from '../support/redis.ts'
import { child } from './child.ts'
import { receiver, text } from './receiver.ts'

it('an API, two workers and a scheduler have four service names under one environment', {
  timeout: 40_000,
}, async () => {
  const backend = await receiver()
  onTestFinished(backend.close)
  const broker = { connection: redisConnection(), prefix: bullmqPrefix() }
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: backend.url, OTEL_SERVICE_NAME: 'shop' }
  const processes = ['render', 'mail', 'api', 'scheduler'].map((role) =>
    child('service-process.ts', { role, ...broker }, env),
  )
  const [render, mail] = processes
  const done = (task: string) => (lines: readonly { task_name?: unknown; message: string }[]) =>
    lines.some((line) => line.message === 'task.succeeded' && line.task_name === task)
  const ready = (lines: readonly { message: string }[]) => lines.some(({ message }) => message === 'ready')
  await Promise.all(processes.map((each) => each.until(ready)))
  await Promise.all([render?.until(done('render_clip')), mail?.until(done('mail_owner'))])
  for (const { process } of processes) process.kill('SIGTERM')
  const codes = await Promise.all(processes.map(({ ended }) => ended))
  expect(codes.map(({ code }) => code)).toEqual([0, 0, 0, 0])
  expect(processes.map(({ stderr }) => stderr())).toEqual(['', '', '', ''])

  expect([...new Set(backend.services())].sort()).toEqual(['shop-api', 'shop-mail', 'shop-render', 'shop-scheduler'])
  const spans = backend.spans()
  const traceOf = (name: string) => spans.find((span) => span.name === name)?.traceId
  // The API asked for the clip. The scheduler asked for the mail, and what a schedule starts is a trace of its own.
  expect(traceOf('taskiq.render_clip')).toBe(traceOf('send render'))
  expect(traceOf('send mail')).toBeDefined()
  expect(traceOf('taskiq.mail_owner')).not.toBe(traceOf('send mail'))
  expect(traceOf('taskiq.mail_owner')).not.toBe(traceOf('taskiq.render_clip'))
  const mailed = spans.find(({ name }) => name === 'taskiq.mail_owner')
  expect(text(mailed?.attributes ?? [], 'task_type')).toBe('cron')
})
