// RabbitMQ end to end on a real broker: CPU of the Node process per message, consuming alone and with the publisher.
import { inRounds } from '../rounds.mjs'
import { ratio, typical } from '../statistics.mjs'

export const title = 'a RabbitMQ message end to end, against @opentelemetry/instrumentation-amqplib'
export const brokers = ['rabbitmq']

const CONTENDERS = ['bare', 'instrumentation', 'ours', 'ours-send']

export async function run({ smoke, progress }) {
  const answers = await inRounds({
    script: new URL('contender.mjs', import.meta.url),
    contenders: CONTENDERS,
    ...(smoke ? { generations: 1, rounds: 1 } : { generations: 2, rounds: 40, budgetMs: 55_000 }),
    question: { count: smoke ? 20 : 500 },
    progress,
  })
  const row = (what, of, measure, target) => ({
    what,
    ...ratio(answers[of], answers.instrumentation, measure),
    unit: 'x instr.-amqplib',
    target,
    note: spansPerMessage(answers[of], measure),
  })
  const peer = (what, measure) => ({
    what,
    value: typical(answers.instrumentation, measure),
    unit: 'us',
    note: spansPerMessage(answers.instrumentation, measure),
  })
  return [
    peer('consumer: instrumentation-amqplib', 'consumer'),
    row('consumer: bare', 'bare', 'consumer'),
    row('consumer: taskspan, everything', 'ours', 'consumer', 0.85),
    peer('with the publisher: instrumentation-amqplib', 'both'),
    row('with the publisher: bare', 'bare', 'both'),
    row('with the publisher: taskspan, send spans too', 'ours-send', 'both', 0.85),
  ]
}

function spansPerMessage(answers, measure) {
  const found = typical(answers, 'spans') + (measure === 'both' ? typical(answers, 'sends') : 0)
  return `${found.toFixed(1)} spans per message`
}
