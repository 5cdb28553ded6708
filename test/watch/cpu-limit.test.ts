// How much CPU a process may use, as the control groups of either version say it.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { cpuLimit } from '../../src/watch/cpu-limit.ts'

const ALL = availableParallelism()

it.each([
  ['half a core, version 2', { 'cpu.max': '50000 100000\n' }, 0.5],
  ['no limit, version 2', { 'cpu.max': 'max 100000\n' }, ALL],
  ['half a core, version 1', { 'cpu/cpu.cfs_quota_us': '25000\n', 'cpu/cpu.cfs_period_us': '50000\n' }, 0.5],
  ['no limit, version 1', { 'cpu/cpu.cfs_quota_us': '-1\n', 'cpu/cpu.cfs_period_us': '100000\n' }, ALL],
  ['more than the machine has', { 'cpu.max': `${(ALL + 1) * 100_000} 100000\n` }, ALL],
  ['what nobody understands', { 'cpu.max': 'much\n' }, ALL],
  ['nothing', {}, ALL],
])('reads %s', (_, files, cores) => {
  const directory = mkdtempSync(join(tmpdir(), 'taskspan-cgroup-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  expect(cpuLimit(directory)).toBe(cores)
})
