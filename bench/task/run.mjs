// The cost of one task in process: a no-op handler, a message with a traceparent, spans made in full and thrown away.
import { inRounds } from '../rounds.mjs'
import { estimate, median } from '../statistics.mjs'

export const title = 'one task in process, against d (span, context and prom-client, plainly by hand)'

const SCRIPT = new URL('contender.mjs', import.meta.url)
// `0` at the end: the same, sampled out by the sender.
const CONTENDERS = ['bare', 'd', 'd0', 'naive', 'bullmq-otel', 'ours', 'ours-info', 'ours-debug', 'ours0']

const ROWS = [
  { what: 'bare handler', of: 'bare' },
  { what: 'd, sampled out', of: 'd0' },
  { what: 'd and two log lines', of: 'naive' },
  { what: 'bullmq-otel, traces', of: 'bullmq-otel' },
  { what: 'taskspan, spans and metrics', of: 'ours', cpu: 0.7, bytes: 0.8 },
  { what: 'taskspan, everything, one log line', of: 'ours-info', cpu: 0.9, bytes: 1.1 },
  { what: 'taskspan, everything, two log lines', of: 'ours-debug', cpu: 1, bytes: 1.1 },
  { what: 'taskspan, sampled out, spans and metrics', of: 'ours0', cpu: 0.6 },
  { what: 'taskspan, sampled out, spans and metrics', of: 'ours0', to: 'd0', cpu: 0.6 },
]

export async function run({ smoke, progress, contenders = CONTENDERS, script = SCRIPT }) {
  const plan = { script, contenders }
  const cpu = await inRounds({
    ...plan,
    ...(smoke ? { generations: 1, rounds: 1 } : { generations: 4, rounds: 15 }),
    question: { count: smoke ? 100 : 5_000 },
    budgetMs: 85_000,
    progress: (text) => progress(`CPU time, ${text}`),
  })
  const bytes = await inRounds({
    ...plan,
    ...(smoke ? { generations: 1, rounds: 1 } : { generations: 2, rounds: 2 }),
    question: { count: smoke ? 100 : 5_000, bytes: true },
    budgetMs: 20_000,
    execArgv: ['--expose-gc', '--max-semi-space-size=256', '--min-semi-space-size=256'],
    progress: (text) => progress(`bytes, ${text}`),
  })
  return [...rows('CPU', cpu, 'us', ({ cpu }) => cpu), ...rows('bytes', bytes, 'B', ({ bytes }) => bytes)]
}

function rows(measure, answers, unit, targetOf) {
  const d = median(costs(answers.d).flat())
  const found = [{ what: `${measure}: d`, value: d, unit }]
  for (const row of ROWS) {
    const { what, of, to = 'd' } = row
    if (answers[of] === undefined || answers[to] === undefined) continue
    found.push({
      what: `${measure}: ${what}`,
      unit: `x ${to}`,
      ...ratio(answers[of], answers[to]),
      target: targetOf(row),
    })
  }
  return found
}

// Round by round: what disturbs one round of the machine disturbs both.
function ratio(ours, theirs) {
  const {
    median: value,
    low,
    high,
  } = estimate(
    costs(ours).map((group, generation) => group.map((cost, round) => cost / theirs[generation][round].cost)),
  )
  return { value, low, high }
}

const costs = (answers) => answers.map((group) => group.map(({ cost }) => cost))
