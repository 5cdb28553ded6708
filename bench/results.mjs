// The last runs of each part on each major version of Node, kept in results/<major>.json.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { median } from './statistics.mjs'
import { verdict } from './targets.mjs'

const KEPT = 3 // a target is met in two of three
const directory = new URL('results/', import.meta.url)

/** Adds one run of a part to what is kept for this major version. */
export function keep(part, { title, ...run }) {
  const file = new URL(`${process.versions.node.split('.')[0]}.json`, directory)
  const kept = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  const runs = [...(kept[part]?.runs ?? []), run].slice(-KEPT)
  writeFileSync(file, `${JSON.stringify({ ...kept, [part]: { title, runs } }, undefined, 2)}\n`)
}

/** All that is kept, by major version: `{ 20: { task: { title, runs } } }`. */
export function kept() {
  const files = readdirSync(directory).filter((name) => /^\d+\.json$/.test(name))
  return Object.fromEntries(
    files.map((name) => [Number.parseInt(name, 10), JSON.parse(readFileSync(new URL(name, directory), 'utf8'))]),
  )
}

/** A part's rows over the runs that were kept: medians of values and bounds, and whether the target is met. */
export function summary({ runs }) {
  return runs.at(-1).rows.map((row) => {
    const rows = runs.flatMap(({ rows }) => rows.filter((each) => each.what === row.what && each.unit === row.unit))
    const of = (key) => (row[key] === undefined ? undefined : median(rows.map((each) => each[key])))
    const now = rows.map((each) => ({ ...each, target: row.target })) // judged by the target of today
    return {
      ...row,
      value: of('value'),
      low: of('low'),
      high: of('high'),
      ...(row.target && { verdict: verdict(now) }),
    }
  })
}
