// How much CPU the process may use: the limit of its container, or all that the machine has.
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

/**
 * In cores: 0.5 is half of one. Inside a container its own control group is the root of what it sees, in either version.
 *
 * @param cgroup where control groups are mounted
 */
export function cpuLimit(cgroup = '/sys/fs/cgroup'): number {
  const [quota, period] = given(cgroup)
  // `max`, -1 or no file: no limit.
  return quota > 0 && period > 0 ? Math.min(quota / period, availableParallelism()) : availableParallelism()
}

function given(cgroup: string): readonly [quota: number, period: number] {
  const [quota, period] = text(join(cgroup, 'cpu.max')).split(' ')
  if (period !== undefined) return [Number(quota), Number(period)]
  return [Number(text(join(cgroup, 'cpu/cpu.cfs_quota_us'))), Number(text(join(cgroup, 'cpu/cpu.cfs_period_us')))]
}

// Another system, or one that shows no control groups.
function text(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
