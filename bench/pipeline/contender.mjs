// One contender with one graph in one process: answers each question with what a step cost it.
//   node contender.mjs <hand|hand-named|p-graph|ours|ours-all>:<chain|wide|layered>:<steps>
import { answering, cpuOf } from '../rounds.mjs'
import { countSpans } from '../spans.mjs'
import { edges, graph } from './graphs.mjs'

const [name, shape, size] = process.argv[2].split(':')
countSpans()
const { prepare } = await import(`./${name.replace(/-(all|named)$/, '')}.mjs`)
const steps = graph(shape, Number(size))
const run = await prepare(steps, { everything: name === 'ours-all', named: name === 'hand-named' })

answering(async ({ count, first, warmUp }) => {
  // `first`: until V8 has compiled all of it, tens of thousands of steps.
  const runs = Math.ceil((warmUp ? first : count) / steps.length)
  const cpu = await cpuOf(async () => {
    for (let n = 0; n < runs; n++) await run()
  })
  return { cost: cpu / runs / steps.length, perStepAndEdge: cpu / runs / (steps.length + edges(steps)) }
})
