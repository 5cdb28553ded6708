// Sets a case up and clears it away: recorders, a healthy SDK, lanes, and a world without globals afterwards.
import { context, diag, metrics, propagation, trace } from '@opentelemetry/api'
import { recordLogs, recordMetrics, recordSpans } from 'taskspan/testing'
import type { Instrumented } from '../contenders/contender.ts'
import { CONTENDERS } from '../contenders/index.ts'
import { plain } from '../contenders/plain.ts'
import type { Bench, Case } from '../fault.ts'
import { bullmqLane } from './bullmq.ts'
import type { Lane } from './lane.ts'
import { rabbitmqLane } from './rabbitmq.ts'

export type Setting = Pick<Bench, 'place' | 'form' | 'contender' | 'brokers'>

/** Runs one case from a clean start; rejects with what went wrong. */
export async function runCase(setting: Setting, { run }: Case): Promise<void> {
  const clearings: (() => unknown)[] = []
  const recorded = { spans: recordSpans(), metrics: recordMetrics(), logs: recordLogs() }
  const after = (clear: () => unknown): void => void clearings.push(clear)
  const lane = async (by: Instrumented): Promise<Lane> => {
    if (setting.place === 'no broker') throw new Error('this fault has no broker')
    const opened = await (setting.place === 'BullMQ' ? bullmqLane : rabbitmqLane)(setting.brokers, by)
    after(() => opened.close())
    return opened
  }
  const bench: Bench = {
    ...setting,
    recorded,
    after,
    open: (options = {}) => lane(CONTENDERS[setting.contender].instrument(options, bench)),
    openPlain: () => lane(plain),
  }
  try {
    await run(bench)
    // What rejects unhandled ends the process between two turns of the loop: this case's, not the next one's.
    await new Promise((resolve) => setImmediate(resolve))
  } finally {
    for (const clear of clearings.reverse()) await (async () => clear())().catch(() => {})
    await recorded.spans.close()
    for (const global of [trace, context, propagation, metrics, diag]) global.disable()
  }
}
