// Pipelines of no-op steps: ours beside a ready-counter loop by hand and p-graph, with the same spans around each step.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { estimate, median } from '../statistics.mjs'

export const title = 'pipelines, CPU time per step'

const SCRIPT = fileURLToPath(new URL('contender.mjs', import.meta.url))
const CONTENDERS = ['hand', 'ours', 'ours-all', 'p-graph']
const SHAPES = ['chain', 'wide', 'layered']
const execute = promisify(execFile)

export async function run({ smoke, progress, turns = smoke ? 1 : 7 }) {
  const rows = []
  for (const shape of SHAPES) {
    const thousand = await measure(CONTENDERS, shape, smoke ? 200 : 1_000, turns, progress)
    const { hand, ours, 'ours-all': all, 'p-graph': pGraph } = thousand
    rows.push(
      { what: `${shape}, 1,000 steps: by hand, with spans`, value: median(perStep(hand)), unit: 'us' },
      { what: `${shape}, 1,000 steps: taskspan, spans`, unit: 'x hand', ...ratio(perStep(ours), perStep(hand)) },
      { what: `${shape}, 1,000 steps: taskspan, everything`, unit: 'x hand', ...ratio(perStep(all), perStep(hand)) },
      { what: `${shape}, 1,000 steps: taskspan, spans`, unit: 'x p-graph', ...ratio(perStep(ours), perStep(pGraph)) },
    )
    if (smoke) continue
    // Where the cost of a step grows with the number of steps, this is far above 1.
    const { ours: tenfold } = await measure(['ours'], shape, 10_000, turns, progress)
    const growth = ratio(perStepAndEdge(tenfold), perStepAndEdge(ours))
    rows.push({ what: `${shape}, 10,000 steps beside 1,000, step and edge`, unit: 'x', ...growth })
  }
  return rows
}

// Contenders take turns, each turn is a process of its own.
async function measure(names, shape, size, turns, progress) {
  const found = Object.fromEntries(names.map((name) => [name, []]))
  for (let turn = 0; turn < turns; turn++) {
    progress(`${shape}, ${size} steps, turn ${turn + 1} of ${turns}`)
    for (const name of turn % 2 === 0 ? names : names.toReversed()) {
      const { stdout } = await execute(process.execPath, [SCRIPT, name, shape, String(size)])
      found[name].push(JSON.parse(stdout))
    }
  }
  return found
}

const perStep = (found) => found.map(({ perStep }) => perStep)
const perStepAndEdge = (found) => found.map(({ perStepAndEdge }) => perStepAndEdge)

function ratio(ours, theirs) {
  const { median: value, low, high } = estimate(ours.map((cost, turn) => [cost / theirs[turn]]))
  return { value, low, high }
}
