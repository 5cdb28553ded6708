// docs/watch.md names every metric, line and option of watch(), and none that is not there.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { USAGE } from '../../src/cli/usage.ts'
import { LINE, METRIC, WATCH_METRIC } from '../../src/kernel/names.ts'

const docs = readFileSync(new URL('../../docs/watch.md', import.meta.url), 'utf8')

test('every metric stands in the table, with its labels, and no other does', () => {
  const rows = docs.split('\n').filter((line) => line.startsWith('| `taskiq_'))
  const listed = rows.flatMap((row) => {
    const [first = '', ...more] = [...(row.split('|')[1] ?? '').matchAll(/`(\w+)(?:\{[\w,]+\})?`/g)].map(
      ([, name]) => name,
    )
    return [first, ...more.map((name = '') => (name.startsWith('_') ? complete(first, name) : name))]
  })
  const own = Object.values(WATCH_METRIC).map(({ name }) => `taskiq_${name}`)
  expect(own.filter((name) => !listed.includes(name))).toEqual([])
  const known = new Set([...own, ...Object.values(METRIC).map(({ name }) => `taskiq_${name}`)])
  expect(listed.filter((name) => !known.has(name))).toEqual([])

  const labelled = new Map(Object.values(WATCH_METRIC).map(({ name, labels }) => [`taskiq_${name}`, labels.join(',')]))
  for (const [, name = '', labels = ''] of docs.matchAll(/`(taskiq_\w+)\{([\w,]+)\}`/g)) {
    expect(labelled.get(name), name).toBe(labels)
  }
})

/** `_interval_seconds` behind `taskiq_cron_next_run_timestamp_seconds` is short for `taskiq_cron_interval_seconds`. */
function complete(first: string, ending: string): string {
  const names = [...Object.values(WATCH_METRIC), ...Object.values(METRIC)].map(({ name }) => `taskiq_${name}`)
  const stem = first.split('_').slice(0, 2).join('_')
  return names.find((name) => name.startsWith(stem) && name.endsWith(ending)) ?? ending
}

test('every line that it writes is named', () => {
  const own = Object.values(LINE).filter((line) => /^(watch|broker)\.|stuck$|still_running$/.test(line))
  expect(own.length).toBeGreaterThanOrEqual(8)
  expect(own.filter((line) => !docs.includes(`\`${line}\``))).toEqual([])
})

test('the flags in its commands are flags', () => {
  const flags = [...docs.matchAll(/ (--[a-z-]+)/g)].map(([, flag = '']) => flag).filter((flag) => flag !== '--help')
  expect(flags.length).toBeGreaterThan(3)
  expect(flags.filter((flag) => !USAGE.includes(flag))).toEqual([])
})
