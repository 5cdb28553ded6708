// BullMQ end to end on a real Redis: CPU of the Node process per job, consuming alone and with the sender.
import { inRounds } from '../rounds.mjs'
import { ratio, typical } from '../statistics.mjs'

export const title = 'a BullMQ job end to end on Redis, against bullmq-otel (its telemetry on Queue and Worker)'
export const brokers = ['redis']

const CONTENDERS = ['bare', 'otel', 'otel-metrics', 'ours', 'ours-send']
const NODE = Number(process.versions.node.split('.')[0])

export async function run({ smoke, progress }) {
  const answers = await inRounds({
    script: new URL('contender.mjs', import.meta.url),
    contenders: CONTENDERS,
    ...(smoke ? { generations: 1, rounds: 1 } : { generations: 2, rounds: 30, budgetMs: 80_000 }),
    question: { count: smoke ? 20 : 250 },
    progress,
  })
  const row = (what, of, measure, target, to = 'otel') => ({
    what,
    ...ratio(answers[of], answers[to], measure),
    unit: 'x bullmq-otel',
    target,
    note: spansPerJob(answers[of], measure),
  })
  return [
    {
      what: 'consumer: bullmq-otel, traces',
      value: typical(answers.otel, 'consumer'),
      unit: 'us',
      note: spansPerJob(answers.otel),
    },
    row('consumer: bare', 'bare', 'consumer'),
    row('consumer: bullmq-otel, traces and metrics', 'otel-metrics', 'consumer'),
    row('consumer: taskspan, everything', 'ours', 'consumer', NODE < 24 ? 1 : 0.92),
    {
      what: 'with the sender: bullmq-otel, traces',
      value: typical(answers.otel, 'both'),
      unit: 'us',
      note: spansPerJob(answers.otel, 'both'),
    },
    row('with the sender: bare', 'bare', 'both'),
    row('with the sender: bullmq-otel, traces and metrics', 'otel-metrics', 'both'),
    row('with the sender: taskspan, send spans too', 'ours-send', 'both', 1.1),
  ]
}

function spansPerJob(answers, measure = 'consumer') {
  const found = typical(answers, 'spans') + (measure === 'both' ? typical(answers, 'sends') : 0)
  return `${found.toFixed(1)} spans per job`
}
