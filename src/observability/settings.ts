// What a user chose, from flags and from the file that keeps it between two runs.
import { DEFAULT_PREFIX, prefixWrong } from '../kernel/names.ts'
import { ALERTS, type AlertName } from './alerts.ts'
import { RUNBOOKS, type RulesOptions } from './rule.ts'
import { limits, problemWith, THRESHOLDS, type ThresholdName } from './thresholds.ts'

/** Only what was chosen: a default that becomes better reaches those who left it. */
export interface Settings {
  readonly prefix?: string | undefined
  readonly runbooks?: string | undefined
  readonly thresholds: Readonly<Partial<Record<ThresholdName, string>>>
  readonly perTask: Readonly<Record<string, string>>
  readonly without: readonly AlertName[]
}

/** As flags say it: `default` takes a choice back. */
export interface Chosen {
  readonly prefix?: string | undefined
  readonly runbooks?: string | undefined
  readonly thresholds: Readonly<Record<string, string>>
  /** `render_clip=60s` */
  readonly perTask: readonly string[]
  readonly without: readonly string[]
}

/** A setting that cannot be; its message is a sentence for the user. */
export class WrongSetting extends Error {
  override name = 'WrongSetting'
}

export const NONE: Settings = { thresholds: {}, perTask: {}, without: [] }
const BACK = 'default'

/** @throws {WrongSetting} */
export function withChosen(kept: Settings, chosen: Chosen): Settings {
  const perTask: Record<string, string> = { ...kept.perTask }
  for (const text of chosen.perTask) {
    const at = text.lastIndexOf('=')
    if (at < 1)
      throw new WrongSetting(`--per-task must be a task and a duration such as render_clip=60s, got '${text}'.`)
    perTask[text.slice(0, at)] = text.slice(at + 1)
  }
  return checked({
    prefix: chosen.prefix ?? kept.prefix,
    runbooks: chosen.runbooks ?? kept.runbooks,
    thresholds: { ...kept.thresholds, ...chosen.thresholds },
    perTask,
    without: [...new Set([...kept.without, ...(chosen.without as AlertName[])])],
  })
}

/** @throws {WrongSetting} */
export function checked({ prefix, runbooks, thresholds, perTask, without }: Settings): Settings {
  const settings: Settings = {
    prefix: prefix === BACK ? undefined : prefix,
    runbooks: runbooks === BACK ? undefined : runbooks,
    thresholds: leftOver(thresholds),
    perTask: leftOver(perTask),
    without,
  }
  const wrong = settings.prefix === undefined ? undefined : prefixWrong(settings.prefix)
  if (wrong !== undefined) throw new WrongSetting(`--prefix ${wrong}, got '${settings.prefix}'.`)
  if (settings.runbooks !== undefined && !/^(https?:\/\/)?[^\s:]+(:\d+)?[^\s:]*$/.test(settings.runbooks)) {
    throw new WrongSetting(`--runbooks must be a URL or a path, got '${settings.runbooks}'.`)
  }
  for (const [name, value] of Object.entries(settings.thresholds)) {
    if (!Object.hasOwn(THRESHOLDS, name)) throw new WrongSetting(`There is no threshold '${name}'.`)
    const problem = problemWith(name as ThresholdName, value)
    if (problem !== undefined) throw new WrongSetting(`--${name} ${problem}, got '${value}'.`)
  }
  for (const [task, value] of Object.entries(settings.perTask)) {
    const problem = problemWith('per-task', value)
    if (problem !== undefined) throw new WrongSetting(`--per-task ${task}= ${problem}, got '${value}'.`)
  }
  for (const name of without) {
    if (!Object.hasOwn(ALERTS, name)) throw new WrongSetting(`There is no alert '${name}' to leave out.`)
  }
  const { depth, 'depth-critical': critical } = rulesOf(settings).limits
  if (Number(critical) <= Number(depth)) {
    throw new WrongSetting(`--depth-critical must be more than --depth (${depth}), got '${critical}'.`)
  }
  return settings
}

function leftOver<T extends Readonly<Record<string, string>>>(values: T): T {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== BACK)) as T
}

export function rulesOf({ prefix, runbooks, thresholds, perTask, without }: Settings): RulesOptions {
  return {
    prefix: prefix ?? DEFAULT_PREFIX,
    runbooks: runbooks ?? RUNBOOKS,
    limits: limits(thresholds, perTask),
    without,
  }
}

/** The settings as flags: what was chosen, for the user to read, and to paste into a shell. */
export function asFlags({ prefix, runbooks, thresholds, perTask, without }: Settings): string[] {
  return [
    ...(prefix === undefined ? [] : [`--prefix ${prefix}`]),
    ...(runbooks === undefined ? [] : [`--runbooks ${word(runbooks)}`]),
    ...Object.entries(thresholds).map(([name, value]) => `--${name} ${word(value)}`),
    ...Object.entries(perTask).map(([task, value]) => `--per-task ${word(`${task}=${value}`)}`),
    ...without.map((name) => `--without ${name}`),
  ]
}

function word(text: string): string {
  return /^[\w./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
