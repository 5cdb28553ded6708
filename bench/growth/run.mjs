// Whether a task costs the same after a million tasks as after a thousand.
import { inRounds } from '../rounds.mjs'
import { estimate, typical } from '../statistics.mjs'

export const title = 'a task after 1,000,000 tasks, everything on, against one after 1,000'

const WHAT = { tasks: 'one task name', names: 'a name never seen with each task' }

export async function run({ smoke, progress }) {
  const answers = await inRounds({
    script: new URL('contender.mjs', import.meta.url),
    contenders: Object.keys(WHAT),
    execArgv: ['--expose-gc'],
    ...(smoke ? { generations: 1, rounds: 1 } : { generations: 1, rounds: 16, budgetMs: 75_000 }),
    question: smoke ? { past: 2_000, repeats: 2 } : { past: 1_000_000, repeats: 10 },
    progress,
  })
  return Object.entries(WHAT).flatMap(([name, what]) => {
    const { median, low, high } = estimate(answers[name].map((group) => group.map(({ first, cost }) => cost / first)))
    return [
      { what, value: median, low, high, unit: 'x at 1,000', target: 1.1 },
      { what: `${what}, heap kept per task`, value: typical(answers[name], 'kept'), unit: 'B', target: 1 },
    ]
  })
}
