// One process that has run very many tasks: tells what one costs it now, and what the second thousand of fresh telemetry do.
//   node --expose-gc contender.mjs <tasks|names>
import { answering, cpuOf } from '../rounds.mjs'
import { countSpans } from '../spans.mjs'

const FEW = 1_000

countSpans()
const { Registry } = await import('prom-client')
const { ours } = await import('../task/ours.mjs')
const { handler, messages } = await import('../task/messages.mjs')

// `names`: each task has a name of its own, as when ids get into names. What is counted by name would grow with them.
const names = process.argv[2] === 'names'
const work = messages(true)
const fresh = () => ours(handler, 'info', new Registry())
const old = fresh()

let kept = 0

answering(async ({ past, repeats, warmUp }) => {
  if (warmUp) {
    await run(old, past / 10)
    const before = heap()
    await run(old, past - past / 10)
    kept = (heap() - before) / (past - past / 10)
    return {}
  }
  let first = 0
  for (let n = 0; n < repeats; n++) {
    const consume = fresh()
    await run(consume, FEW) // making cells and caches is the price of a beginning, not of a task
    first += await cpuOf(() => run(consume, FEW))
  }
  const cost = await cpuOf(() => run(old, FEW * repeats))
  const tasks = FEW * repeats
  return { first: first / tasks, cost: cost / tasks, kept }
})

function heap() {
  globalThis.gc()
  return process.memoryUsage().heapUsed
}

let serial = 0
async function run(consume, count) {
  for (let n = 0; n < count; n++) {
    const message = work[n % work.length]
    await consume(names ? { ...message, name: `render_${serial++}` } : message)
  }
}
