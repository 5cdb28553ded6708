// The cost of one step of a pipeline: chain, wide and layered graphs, each step with a span.
import { inRounds } from '../rounds.mjs'
import { ratio, typical } from '../statistics.mjs'

export const title =
  'one step of a pipeline of 1,000, against a ready-counter loop by hand and p-graph, with the same spans'

const SHAPES = ['chain', 'wide', 'layered']

export async function run({ smoke, progress }) {
  const rows = []
  for (const shape of SHAPES) rows.push(...(await ofShape(shape, smoke, progress)))
  return rows
}

async function ofShape(shape, smoke, progress) {
  const [small, large] = smoke ? [200, 400] : [1_000, 10_000]
  const at = (name, size = small) => `${name}:${shape}:${size}`
  // Those that are compared stand next to each other: what disturbs the machine disturbs both.
  const contenders = [at('hand-named'), at('hand'), at('ours'), at('p-graph'), at('ours-all'), at('ours', large)]
  const answers = await inRounds({
    script: new URL('contender.mjs', import.meta.url),
    contenders,
    ...(smoke ? { generations: 1, rounds: 1 } : { generations: 3, rounds: 8, budgetMs: 25_000 }),
    question: smoke ? { count: 400, first: 400 } : { count: 5_000, first: 80_000 },
    progress: (text) => progress(`${shape}, ${text}`),
  })
  const [named, hand, ours, pGraph, all, tenfold] = contenders.map((name) => answers[name])
  return [
    { what: `${shape}: by hand`, value: typical(hand), unit: 'us' },
    { what: `${shape}: by hand, outputs under their names`, ...ratio(named, hand), unit: 'x hand' },
    { what: `${shape}: p-graph`, ...ratio(pGraph, hand), unit: 'x hand' },
    { what: `${shape}: taskspan, spans`, ...ratio(ours, hand), unit: 'x hand', target: 1.25 },
    { what: `${shape}: taskspan, everything`, ...ratio(all, hand), unit: 'x hand', target: 2 },
    { what: `${shape}: taskspan, spans`, ...ratio(ours, pGraph), unit: 'x p-graph', target: 0.5 },
    {
      what: `${shape}: a step and its edges at 10,000 steps`,
      ...ratio(tenfold, ours, 'perStepAndEdge'),
      unit: 'x at 1,000',
      target: 2.5,
    },
  ]
}
