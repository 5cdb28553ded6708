// What telemetry really writes: one of everything, under the names that the documents use in their queries.
import { SpanKind, trace } from '@opentelemetry/api'
import { reject } from 'taskspan'
import { cron } from 'taskspan/cron'
import { bind } from 'taskspan/logging'
import { pipeline } from 'taskspan/pipeline'
import { ext } from 'taskspan/spans'
import type { Telemetry } from 'taskspan/telemetry'
import { fakeBroker, type LogLine, type RecordedSpan } from 'taskspan/testing'
import { notify } from '../../src/kernel/compose.ts'
import { record } from '../support/record.ts'
import { gate, runner } from '../support/run.ts'

export interface Written {
  readonly spans: readonly RecordedSpan[]
  readonly lines: readonly LogLine[]
}

const NAME = { name: 'render_clip', queue: 'render', id: '812', waitMs: 700_000, maxAttempts: 3 } as const
const NIGHTLY = { id: 'nightly', time: Date.now(), driftMs: 12 } as const

/** @param well without anything that should alert */
export async function written({ well = false } = {}): Promise<Written> {
  const { t, spans, logs } = await record({ correlation: ['request_id'], slowAfterMs: 0 })
  const attributes = { 'messaging.message.id': NAME.id }
  const run = runner(t, { system: 'bullmq' })
  const retried = runner(t, { system: 'bullmq', judge: () => 'retry' })
  const deferred = runner(t, { system: 'bullmq', judge: () => 'deferred' })
  const fail = (error: Error) => () => Promise.reject(error)
  const ignore = (): void => {}

  await requested(t)
  await run({ ...NAME, waitMs: 10, type: 'cron', schedule: NIGHTLY }, () => 'done')
  if (well) return { spans: spans.spans, lines: logs.lines }

  await run(NAME, () => analysis(t, false)).catch(ignore)
  await run(NAME, () => slow(t)).catch(ignore)
  await run({ ...NAME, lost: 1, attempt: 2, attributes }, fail(new CodecError('unknown codec'))).catch(ignore)
  await retried(NAME, fail(new CodecError('unknown codec'))).catch(ignore)
  await deferred(NAME, fail(new CodecError('later'))).catch(ignore)
  await run(NAME, fail(new CodecError('stopped')), AbortSignal.abort()).catch(ignore)
  for (const reason of ['malformed', 'unknown_task', 'expired', 'other'] as const) {
    await run(NAME, () => Promise.reject(reject(reason, 'the clip has no owner'))).catch(ignore)
  }
  await overlapping(t)
  notify(t, { kind: 'schedule', event: 'missed', schedule: 'nightly', count: 1 })
  const ofBroker = { kind: 'broker', queue: 'render' } as const
  notify(t, { ...ofBroker, system: 'rabbitmq', event: 'consumer_cancelled', error: new Error('queue deleted') })
  notify(t, { ...ofBroker, system: 'bullmq', event: 'error', error: new Error('connect ECONNREFUSED') }) // of taskspan watch
  return { spans: spans.spans, lines: logs.lines }
}

/** A request, the task that it asks for, and its steps: one trace with one request id. */
async function requested(t: Telemetry): Promise<void> {
  const broker = fakeBroker(t)
  broker.consume('render', () => analysis(t, true))
  trace.getTracer('http').startActiveSpan('POST /clips', { kind: SpanKind.SERVER }, (request) => {
    bind({ request_id: 'r-81' }, () => broker.send('render', { name: 'render_clip' }))
    request.end()
  })
  await broker.settled(1)
}

function analysis(t: Telemetry, well: boolean): Promise<unknown> {
  return pipeline<object>('analysis', t)
    .step('download', () => 'file')
    .step('transcribe', ['download'], () => transcribe(well), { retries: 1, backoff: { initialMs: 1 } })
    .run({})
}

async function slow(t: Telemetry): Promise<unknown> {
  const never = ({ signal }: { signal: AbortSignal }) => new Promise((_, no) => signal.addEventListener('abort', no))
  return pipeline<object>('analysis', t).step('transcribe', never, { timeoutMs: 1 }).run({})
}

function transcribe(well: boolean): Promise<string> {
  return ext('whisper', 'transcribe', { clip_id: 7 }, async () => {
    if (!well) throw new CodecError('whisper did not answer')
    return 'words'
  })
}

async function overlapping(t: Telemetry): Promise<void> {
  const { open, opened } = gate()
  const tick = cron(t)('nightly', () => opened, { intervalMs: 60_000 })
  const both = [tick(), tick()]
  open()
  await Promise.all(both)
}

class CodecError extends Error {
  override name = 'CodecError'
}
