// What was measured, where people read it: the table in the README, all rows in docs/benchmarks.md, a picture of both.
import { readFileSync, writeFileSync } from 'node:fs'
import { picture } from './picture.mjs'
import { kept, summary } from './results.mjs'

const root = new URL('../', import.meta.url)

const WORK = {
  task: 'a task in process',
  bullmq: 'a BullMQ job',
  amqp: 'a RabbitMQ message',
  pipeline: 'a pipeline step',
  growth: 'after 1,000,000 tasks',
  import: 'import',
  scrape: 'a series in a scrape',
  idle: 'an idle worker',
}
// Rows that differ in this alone stand in one line of the README's table.
const KINDS = /^(chain|wide|layered|classic|openmetrics): /

/** Rewrites README.md, docs/benchmarks.md and docs/images/bench.svg from what is kept in results/. */
export function publish() {
  const results = kept()
  const majors = Object.keys(results).map(Number)
  const parts = Object.keys(WORK).filter((part) => majors.some((major) => results[major][part] !== undefined))
  const rows = parts.flatMap((part) => rowsOf(part, majors, results))

  between(
    'README.md',
    short(
      rows.filter(({ target }) => target !== undefined),
      majors,
    ),
  )
  between('docs/benchmarks.md', `${machines(majors, results)}\n\n${long(rows, majors)}`)
  const [first] = majors
  const firsts = Object.fromEntries(parts.map((part) => [part, results[first][part] && summary(results[first][part])]))
  writeFileSync(new URL('docs/images/bench.svg', root), picture(firsts, first))
}

// One row of a part, with what each version of Node made of it.
function rowsOf(part, majors, results) {
  const found = new Map()
  for (const major of majors) {
    for (const row of results[major][part] === undefined ? [] : summary(results[major][part])) {
      const key = `${row.what} ${row.unit}`
      if (!found.has(key)) found.set(key, { part, what: row.what, unit: row.unit, target: row.target, on: {} })
      found.get(key).on[major] = row
    }
  }
  return [...found.values()]
}

function short(rows, majors) {
  const lines = new Map()
  for (const row of rows) {
    const what = row.what.replace(KINDS, '')
    const key = `${row.part} ${what} ${row.unit}`
    lines.set(key, [...(lines.get(key) ?? []), row])
  }
  const body = [...lines.values()].map((same) => {
    const [{ part, what, unit }] = same
    const kinds = same.map((row) => KINDS.exec(row.what)?.[1]).filter((kind) => kind !== undefined)
    const named = kinds.length === 0 ? what : `${what.replace(KINDS, '')} (${kinds.join(' / ')})`
    const cells = majors.map((major) => same.map(({ on }) => cell(on[major])).join(' / '))
    return `| ${WORK[part]} | ${named} | ≤ ${targetOf(same, majors)} ${unit} | ${cells.join(' | ')} |`
  })
  const versions = majors.map((major) => `Node ${major}`)
  return [
    `| work | what | target | ${versions.join(' | ')} |`,
    `|---|---|---|${'---|'.repeat(majors.length)}`,
    ...body,
  ].join('\n')
}

function long(rows, majors) {
  const header = majors.flatMap((major) => [`Node ${major}`, '95 % interval'])
  const body = rows.map(({ part, what, unit, on }) => {
    const cells = majors.map((major) => `${cell(on[major])} | ${interval(on[major])}`)
    const note = Object.values(on)[0].note
    return `| ${WORK[part]} | ${what}${note ? ` (${note})` : ''} | ${unit} | ${targetOf([{ on }], majors)} | ${cells.join(' | ')} |`
  })
  return [
    `| work | what | unit | target | ${header.join(' | ')} |`,
    `|---|---|---|---|${'---|'.repeat(header.length)}`,
    ...body,
  ].join('\n')
}

function machines(majors, results) {
  return majors
    .flatMap((major) => {
      const runs = Object.values(results[major]).flatMap(({ runs }) => runs)
      const { node, cores, cpu } = runs.at(-1)
      const dates = runs.map(({ date }) => date.slice(0, 10)).sort()
      const loads = runs.map(({ load }) => load)
      const when = dates[0] === dates.at(-1) ? dates[0] : `${dates[0]} to ${dates.at(-1)}`
      const load = `load ${Math.min(...loads).toFixed(0)} to ${Math.max(...loads).toFixed(0)}`
      return `- Node ${node}: ${when}, ${cores} cores (${cpu}), ${load}`
    })
    .join('\n')
}

// Targets that differ by version are shown in the versions' order.
function targetOf(rows, majors) {
  const targets = majors.map((major) => rows[0].on[major]?.target).filter((target) => target !== undefined)
  return targets.every((target) => target === targets[0])
    ? (targets[0]?.toFixed(2) ?? '')
    : targets.map((each) => each.toFixed(2)).join(' / ')
}

function cell(row) {
  if (row === undefined) return '–'
  const value = row.value >= 100 ? row.value.toFixed(0) : row.value.toFixed(2)
  if (row.verdict === undefined || row.verdict.met) return value
  // By the median over the runs; how sure each of them was has gone into the verdict.
  return row.value <= row.target ? `*${value}*` : `**${value}**`
}

const interval = (row) => (row?.low === undefined ? '' : `${row.low.toFixed(2)} .. ${row.high.toFixed(2)}`)

function between(file, text) {
  const url = new URL(file, root)
  const [begin, end] = ['<!-- bench -->', '<!-- /bench -->']
  const before = readFileSync(url, 'utf8')
  const [from, to] = [before.indexOf(begin), before.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`${file} has no place for the benchmarks: ${begin} … ${end}`)
  writeFileSync(url, `${before.slice(0, from + begin.length)}\n${text}\n${before.slice(to)}`)
}
