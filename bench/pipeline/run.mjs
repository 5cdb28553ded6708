// Side by side: contenders take turns, each turn is a process of its own, and medians are compared.
//   npm run build && node bench/pipeline/run.mjs [turns]
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const turns = Number(process.argv[2] ?? 7)
const contenders = ['hand', 'ours', 'ours-all', 'p-graph']
const shapes = ['chain', 'wide', 'layered']
const script = fileURLToPath(new URL('contender.mjs', import.meta.url))
const median = (list) => list.sort((a, b) => a - b)[Math.floor(list.length / 2)]

const turn = (name, shape, size) =>
  JSON.parse(execFileSync(process.execPath, [script, name, shape, String(size)], { encoding: 'utf8' }))

function measure(names, shape, size) {
  const results = Object.fromEntries(names.map((name) => [name, []]))
  for (let n = 0; n < turns; n++) for (const name of names) results[name].push(turn(name, shape, size))
  return Object.fromEntries(
    names.map((name) => [
      name,
      {
        perStep: median(results[name].map(({ perStep }) => perStep)),
        perStepAndEdge: median(results[name].map(({ perStepAndEdge }) => perStepAndEdge)),
      },
    ]),
  )
}

const us = (value) => value.toFixed(2).padStart(7)
const times = (value) => `${value.toFixed(2)}x`.padStart(7)
console.log(`Node ${process.version}, medians of ${turns} turns, microseconds of CPU per step\n`)
console.log('1,000 steps    hand   spans    all  p-graph | spans/hand  all/hand  spans/p-graph')
const thousand = {}
for (const shape of shapes) {
  const found = measure(contenders, shape, 1_000)
  thousand[shape] = found
  const { hand, ours, 'ours-all': all, 'p-graph': pGraph } = found
  console.log(
    shape.padEnd(11),
    ...[hand, ours, all, pGraph].map(({ perStep }) => us(perStep)),
    '|',
    times(ours.perStep / hand.perStep).padStart(10),
    times(all.perStep / hand.perStep).padStart(9),
    times(ours.perStep / pGraph.perStep).padStart(12),
  )
}
console.log('\n10,000 steps: cost per step and edge beside 1,000 steps')
for (const shape of shapes) {
  const { ours } = measure(['ours'], shape, 10_000)
  const before = thousand[shape].ours.perStepAndEdge
  console.log(shape.padEnd(11), us(before), '->', us(ours.perStepAndEdge), times(ours.perStepAndEdge / before))
}
