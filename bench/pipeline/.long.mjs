// One contender in one process: warms up, runs one graph many times, prints microseconds of CPU per step.
//   node contender.mjs <hand|p-graph|ours|ours-all> <chain|wide|layered> <steps>
import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base'
import { edges, graph } from './graphs.mjs'

const [name, shape, size] = [process.argv[2], process.argv[3], Number(process.argv[4])]

// Spans are made in full and thrown away: what is measured is what makes them.
const discard = { onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} }
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [discard] }))

const { prepare } = await import(`./${name === 'ours-all' ? 'ours' : name}.mjs`)
const steps = graph(shape, size)
const run = await prepare(steps, { everything: name === 'ours-all' })

const rounds = Math.max(10, Math.round(2_000_000 / size))
for (let n = 0; n < rounds; n++) await run()
const times = []
for (let n = 0; n < rounds; n++) {
  const before = process.cpuUsage()
  await run()
  const { user, system } = process.cpuUsage(before)
  times.push(user + system)
}
// The mean, not the median, of many runs: garbage collection is part of the cost.
const mean = times.reduce((sum, time) => sum + time, 0) / times.length
process.stdout.write(JSON.stringify({ perStep: mean / size, perStepAndEdge: mean / (size + edges(steps)) }))
