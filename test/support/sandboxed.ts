// A processor in a file of its own, wrapped inside it: BullMQ runs it in another process, and hands it a copy of the job.
import { trace } from '@opentelemetry/api'
import type { SandboxedJob } from 'bullmq'
import { currentTask } from 'taskspan'
import { bullmq } from 'taskspan/bullmq'
import { telemetry } from 'taskspan/telemetry'
import { recordSpans } from 'taskspan/testing'

recordSpans()

export default bullmq(telemetry({ logging: false }))(async (job) => {
  if (job.name === 'fails') throw new TypeError('in the sandbox')
  await (job as unknown as SandboxedJob).updateProgress(50)
  const { name, queue, id, attempt, maxAttempts, waitMs, priority } = currentTask() ?? {}
  const active = trace.getActiveSpan()
  const { parentSpanContext } = (active ?? {}) as { parentSpanContext?: object }
  const task = { name, queue, id, attempt, maxAttempts, waitMs, priority }
  return { task, active: active?.spanContext(), parentSpanContext }
})
