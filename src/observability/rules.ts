// All rules, and the files that Prometheus reads them from.
import { stringify } from 'yaml'
import { DEFAULT_RULES, type Group, making, type RulesOptions } from './rule.ts'
import { brokerRules } from './rules/brokers.ts'
import { durationRules } from './rules/durations.ts'
import { pipelineRules } from './rules/pipelines.ts'
import { queueRules } from './rules/queues.ts'
import { rejectionRules } from './rules/rejections.ts'
import { scheduleRules } from './rules/schedules.ts'
import { serviceRules } from './rules/services.ts'
import { taskRules } from './rules/tasks.ts'
import { telemetryRules } from './rules/telemetry.ts'
import { workerRules } from './rules/workers.ts'

// Workers first: others join their names.
const PARTS = [
  workerRules,
  taskRules,
  durationRules,
  rejectionRules,
  queueRules,
  scheduleRules,
  pipelineRules,
  serviceRules,
  brokerRules,
  telemetryRules,
]

/** The rules, by group. */
export function groups(options: RulesOptions = DEFAULT_RULES): readonly Group[] {
  const { without } = options
  return PARTS.map((part) => {
    const { rules, ...group } = part(making(options))
    return { ...group, rules: rules.filter((rule) => !('alert' in rule && without.includes(rule.alert))) }
  })
}

const HEADING = `# Written by 'taskspan observability' from its thresholds: give flags rather than edit this file.\n`

/** By path, relative to the directory of rules. */
export function ruleFiles(options: RulesOptions = DEFAULT_RULES): Readonly<Record<string, string>> {
  return Object.fromEntries(
    groups(options).map((group) => [`${group.name}.yml`, HEADING + stringify({ groups: [group] }, { lineWidth: 0 })]),
  )
}
