// What an import costs, cold, each in a fresh process. That it loads no broker and no SDK is a test: test/imports.test.ts.
import { inRounds } from '../rounds.mjs'
import { ratio, typical } from '../statistics.mjs'

export const title = 'import of taskspan and taskspan/telemetry, against its three peers alone'

export async function run({ smoke, progress }) {
  const answers = await inRounds({
    script: new URL('contender.mjs', import.meta.url),
    contenders: ['peers', 'ours', 'kernel'],
    ...(smoke ? { generations: 1 } : { generations: 24, budgetMs: 40_000 }),
    rounds: 1,
    question: {},
    progress,
  })
  return [
    { what: 'api, prom-client and pino', value: typical(answers.peers) / 1_000, unit: 'ms' },
    { what: 'taskspan alone', ...ratio(answers.kernel, answers.peers), unit: 'x peers' },
    { what: 'taskspan and taskspan/telemetry', ...ratio(answers.ours, answers.peers), unit: 'x peers', target: 1.1 },
  ]
}
