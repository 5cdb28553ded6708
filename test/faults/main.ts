// The long form of every row, with the peers beside us: prints the table and writes it to docs/faults.md and the README.
//   npm run faults                                  everything, on brokers of its own (or REDIS_URL and AMQP_URL)
//   npm run faults -- --only "hostile carriers"     some rows, by name; nothing is written then
//   npm run faults -- --contenders taskspan         some contenders; nothing is written then
//   npm run faults -- --broken                      the careless contender instead: every row must find it out
//   npm run faults -- --short                       the form that stands in npm test
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { startRabbitMq, startRedis } from '../../scripts/brokers/index.ts'
import { CONTENDERS } from './contenders/index.ts'
import type { BrokerUrls, ContenderName, Form } from './fault.ts'
import { FAULTS } from './faults.ts'
import { concerns } from './run/cases.ts'
import { progress } from './run/progress.ts'
import { asText, losses, type Row } from './run/report.ts'
import { tryOut } from './run/trial.ts'
import { write } from './run/write.ts'

const { values: given } = parseArgs({
  options: {
    only: { type: 'string' },
    contenders: { type: 'string' },
    broken: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
    'patience-ms': { type: 'string', default: '5000' },
  },
})

const chosen = given.only?.split(',')
const faults = FAULTS.filter(({ name }) => chosen?.includes(name) ?? true)
if (faults.length === 0)
  refuse(`there is no row '${given.only}'; the rows are ${FAULTS.map(({ name }) => name).join(', ')}`)
const shown: ContenderName[] = ['taskspan', 'bullmq-otel', 'instrumentation-amqplib']
const contenders = given.broken ? ['careless' as const] : ((given.contenders?.split(',') ?? shown) as ContenderName[])
const stranger = contenders.find((name) => !Object.hasOwn(CONTENDERS, name))
if (stranger !== undefined) refuse(`there is no contender '${stranger}'; they are ${shown.join(', ')}`)
const form: Form = { name: given.short ? 'short' : 'long', patienceMs: Number(given['patience-ms']) }

const [redis, rabbitMq] = await Promise.all([
  process.env.REDIS_URL ? undefined : startRedis(),
  process.env.AMQP_URL ? undefined : startRabbitMq(),
])
const brokers: BrokerUrls = {
  redis: redis?.url ?? String(process.env.REDIS_URL),
  prefix: `faults-${randomBytes(4).toString('hex')}`,
  amqp: rabbitMq?.url ?? String(process.env.AMQP_URL),
}

const startedAt = performance.now()
const rows: Row[] = []
for (const fault of faults) {
  for (const place of fault.places) {
    const results: Row['results'] = {}
    for (const contender of contenders.filter((name) => concerns(fault, name, place))) {
      const say = (tried: number, of: number): void =>
        progress(`${rows.length + 1}. ${fault.name}, ${place}, ${contender}: ${tried} of ${of}`)
      const result = await tryOut({
        fault,
        place,
        contender,
        form,
        brokers,
        untilLost: given.broken,
        processes: given.broken ? 1 : 4,
        progress: say,
      })
      Object.assign(results, { [contender]: result })
    }
    rows.push({ fault, place, results })
  }
}
progress('')
await Promise.all([redis?.stop(), rabbitMq?.stop()])

const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1)
console.log(`${asText(rows, contenders)}\n\n${losses(rows, contenders)}\n\n${form.name} form, ${minutes} minutes`)
const whole = chosen === undefined && given.contenders === undefined && !given.broken && form.name === 'long'
if (whole) await write(rows, contenders)
process.exitCode = isAsItShouldBe() ? 0 : 1

/** taskspan survives everything; a broken contender is found out by every row that concerns it. */
function isAsItShouldBe(): boolean {
  if (!given.broken) return rows.every(({ results }) => (results.taskspan?.lost.length ?? 0) === 0)
  return rows.every(({ results }) => results.careless === undefined || results.careless.lost.length > 0)
}

function refuse(why: string): never {
  console.error(`faults: ${why}.`)
  process.exit(2)
}
