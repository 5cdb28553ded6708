// The benchmarks: runs the parts asked for, one after the other, and prints one table for each.
//   npm run bench                            all parts
//   npm run bench -- --only task,pipeline    some of them
//   npm run bench -- --smoke                 everything once and briefly, to see that it still runs; says nothing of time
//   npm run bench -- --json results.json     the numbers as well
// A part is a folder here with a `run.mjs` that exports `title` and `run({ smoke, progress })`. It gives rows
// `{ what, value, unit?, low?, high?, target?, note? }`: a target is met when the value is at or below it and `high`
// within 0.05 above.
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'

const here = new URL('./', import.meta.url)
const parts = readdirSync(here, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && existsSync(new URL(`${entry.name}/run.mjs`, here)))
  .map(({ name }) => name)
  .sort()

const { values: given } = parseArgs({
  options: { only: { type: 'string' }, smoke: { type: 'boolean', default: false }, json: { type: 'string' } },
})
const wanted = given.only === undefined ? parts : given.only.split(',')
const unknown = wanted.filter((part) => !parts.includes(part))
if (unknown.length > 0) {
  console.error(`bench: there is no part '${unknown.join("', '")}'; the parts are ${parts.join(', ')}.`)
  process.exit(2)
}

// One line that rewrites itself on a terminal; elsewhere a line every ten seconds.
let saidAt = 0

const machine = `Node ${process.version}, ${availableParallelism()} x ${cpus()[0]?.model ?? 'unknown CPU'}`
console.log(`${machine}, load ${loadavg()[0].toFixed(1)}`)
const results = { machine, date: new Date().toISOString(), parts: {} }
for (const part of wanted) {
  const { title, run } = await import(new URL(`${part}/run.mjs`, here))
  const startedAt = performance.now()
  const rows = await run({ smoke: given.smoke, progress: (text) => progress(`${part}: ${text}`) })
  progress('')
  console.log(`\n${part}: ${title} (${Math.round((performance.now() - startedAt) / 1000)} s)`)
  for (const row of rows) console.log(`  ${line(row)}`)
  results.parts[part] = { title, rows }
}
if (given.json !== undefined) writeFileSync(given.json, `${JSON.stringify(results, undefined, 2)}\n`)

function line({ what, value, unit = '', low, high, target, note }) {
  const spread = low === undefined ? '' : `[${low.toFixed(2)} .. ${high.toFixed(2)}]`
  const met = value <= target && (high === undefined || high <= target + 0.05)
  const verdict = target === undefined || given.smoke ? '' : `target ${target.toFixed(2)} ${met ? 'met' : 'MISSED'}`
  return [what.padEnd(44), `${value.toFixed(2)} ${unit}`.padEnd(12), spread.padEnd(16), verdict, note ?? ''].join(' ')
}

function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
  else if (text !== '' && performance.now() - saidAt > 10_000) {
    saidAt = performance.now()
    console.error(text)
  }
}
