// What one series costs in a scrape of a registry at the label caps.
import { inRounds } from '../rounds.mjs'
import { ratio, typical } from '../statistics.mjs'

export const title = "one series in a scrape at the label caps, against prom-client's own metrics"

export async function run({ smoke, progress }) {
  const rows = []
  for (const format of ['classic', 'openmetrics']) {
    const answers = await inRounds({
      script: new URL('contender.mjs', import.meta.url),
      contenders: ['prom-client', 'ours'],
      ...(smoke ? { generations: 1, rounds: 1 } : { generations: 3, rounds: 12, budgetMs: 15_000 }),
      question: { format, scrapes: smoke ? 1 : 3 },
      progress: (text) => progress(`${format}, ${text}`),
    })
    const series = (name) => `${typical(answers[name], 'series').toLocaleString('en')} series`
    rows.push(
      {
        what: `${format}: prom-client`,
        value: typical(answers['prom-client']),
        unit: 'us',
        note: series('prom-client'),
      },
      {
        what: `${format}: taskspan`,
        ...ratio(answers.ours, answers['prom-client']),
        unit: 'x prom-client',
        target: 1,
        note: series('ours'),
      },
    )
  }
  return rows
}
