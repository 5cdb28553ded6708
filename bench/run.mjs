// The benchmarks: runs the parts asked for, one after the other, and prints one table for each.
//   npm run bench                            all parts, within ten minutes; kept in bench/results, README and docs/images
//   npm run bench -- --only task,pipeline    some of them; with --keep they are kept as well
//   npm run bench -- --smoke                 everything once and briefly, to see that it still runs; says nothing of time
//   npm run bench -- --json results.json     the numbers as well
//   npm run bench -- --draw                  measures nothing: table and picture from what was kept
// Another Node: PATH=<where it is>:$PATH npm run bench. Redis and RabbitMQ: those of REDIS_URL and AMQP_URL, else private ones.
// A part is a folder here with a `run.mjs` that exports `title`, `run({ smoke, progress })`, and `brokers` if it needs
// some. It gives rows `{ what, value, unit?, low?, high?, target?, note? }`.
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { provide } from './brokers.mjs'
import { publish } from './publish.mjs'
import { keep } from './results.mjs'
import { met, unsure } from './targets.mjs'

const here = new URL('./', import.meta.url)
const parts = readdirSync(here, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(new URL(`${entry.name}/run.mjs`, here)))
  .map(({ name }) => name)
  .sort()

const { values: given } = parseArgs({
  options: {
    only: { type: 'string' },
    smoke: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
    draw: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
})
const wanted = given.only === undefined ? parts : given.only.split(',')
const unknown = wanted.filter((part) => !parts.includes(part))
if (unknown.length > 0) {
  console.error(`bench: there is no part '${unknown.join("', '")}'; the parts are ${parts.join(', ')}.`)
  process.exit(2)
}
const isKept = !given.smoke && (given.keep || given.only === undefined)

// One line that rewrites itself on a terminal; elsewhere a line every ten seconds.
let saidAt = 0

if (!given.draw) await measure()
if (given.draw || isKept) publish()
process.exit() // private brokers end with this process

async function measure() {
  const machine = { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model ?? 'unknown CPU' }
  console.log(`Node ${machine.node}, ${machine.cores} x ${machine.cpu}, load ${loadavg()[0].toFixed(1)}`)
  const results = {}
  for (const part of wanted) {
    const { title, run, brokers = [] } = await import(new URL(`${part}/run.mjs`, here))
    await provide(brokers)
    const [startedAt, date] = [performance.now(), new Date().toISOString()]
    const rows = await run({ smoke: given.smoke, progress: (text) => progress(`${part}: ${text}`) })
    progress('')
    console.log(`\n${part}: ${title} (${Math.round((performance.now() - startedAt) / 1000)} s)`)
    for (const row of rows) console.log(`  ${line(row)}`)
    results[part] = { title, date, ...machine, load: loadavg()[0], rows }
    if (isKept) keep(part, results[part])
  }
  if (given.json !== undefined) writeFileSync(given.json, `${JSON.stringify(results, undefined, 2)}\n`)
}

function line(row) {
  const { what, value, unit = '', low, high, target, note } = row
  const spread = low === undefined ? '' : `[${low.toFixed(2)} .. ${high.toFixed(2)}]`
  const found = met(row) ? 'met' : unsure(row) ? 'UNSURE' : 'MISSED'
  const verdict = target === undefined || given.smoke ? '' : `target ${target.toFixed(2)} ${found}`
  return [what.padEnd(52), `${value.toFixed(2)} ${unit}`.padEnd(22), spread.padEnd(16), verdict, note ?? ''].join(' ')
}

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
  else if (text !== '' && performance.now() - saidAt > 10_000) {
    saidAt = performance.now()
    console.error(text)
  }
}
