// What a worker takes while it has nothing to do: with watch and server on, and the same peers without us.
import { atOnce } from '../rounds.mjs'
import { median } from '../statistics.mjs'

export const title =
  'an idle BullMQ worker with watch and server on, against one with the same peers and nothing of ours'
export const brokers = ['redis']

export async function run({ smoke, progress }) {
  const pairs = smoke ? 1 : 4
  progress(`${pairs} pairs of processes wait`)
  const answers = await atOnce({
    script: new URL('contender.mjs', import.meta.url),
    contenders: Array.from({ length: pairs * 2 }, (_, at) => (at % 2 === 0 ? 'peers' : 'ours')),
    execArgv: ['--expose-gc'],
    question: { idleMs: smoke ? 200 : 31_000 }, // two looks of watch(), which come every 15 s
  })
  const [peers, ours] = [0, 1].map((side) => answers.filter((_, at) => at % 2 === side))
  const of = (list, measure) => median(list.map((answer) => answer[measure]))
  const row = (what, measure, unit, target) => ({ what, value: of(ours, measure) - of(peers, measure), unit, target })
  return [
    { what: 'CPU, the worker alone', value: of(peers, 'percent'), unit: '%' },
    { what: 'CPU, the worker with everything', value: of(ours, 'percent'), unit: '%', target: 1 },
    { what: 'memory, the worker alone', value: of(peers, 'resident'), unit: 'MB', note: 'resident' },
    row('memory that ours adds, resident', 'resident', 'MB', 10),
    row('memory that ours adds, heap and buffers', 'heap', 'MB', 10),
  ]
}
