// The file that keeps settings between two runs, and tells which files of theirs a user has changed.
import type { AlertName } from './alerts.ts'
import { checked, type Settings, WrongSetting } from './settings.ts'

/** Settings as they are kept, and the hashes of the files that were written with them. */
export interface Kept {
  readonly settings: Settings
  readonly files: Readonly<Record<string, string>>
}

export function toKept({ settings, files }: Kept): string {
  const { prefix, runbooks, thresholds, perTask, without } = settings
  const kept = { prefix, runbooks, ...thresholds, 'per-task': perTask, without }
  return `${JSON.stringify({ about: ABOUT, settings: kept, files }, null, 2)}\n`
}

const ABOUT = 'Kept by `npx taskspan observability`: settings may be changed here; files are hashes of what it wrote.'

/** @throws {WrongSetting} also where it is not JSON, or has what nobody knows */
export function fromKept(text: string): Kept {
  const { settings, files } = parsed(text)
  const { prefix, runbooks, 'per-task': perTask, without, ...thresholds } = settings
  // null is how a person may write that there is none.
  const texts = (values: unknown): Record<string, string> =>
    Object.fromEntries(
      Object.entries(Object(values)).flatMap(([name, value]) => (value === null ? [] : [[name, String(value)]])),
    )
  return {
    settings: checked({
      ...texts({ prefix: prefix ?? null, runbooks: runbooks ?? null }),
      thresholds: texts(thresholds),
      perTask: texts(perTask),
      without: Object.values(texts(without)) as AlertName[],
    }),
    files: texts(files),
  }
}

type Fields = Readonly<Record<string, unknown>>

function parsed(text: string): { settings: Fields; files: Fields } {
  const { settings, files } = object(json(text), 'It')
  return { settings: object(settings ?? {}, "'settings'"), files: object(files ?? {}, "'files'") }
}

function object(value: unknown, what: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
  throw new WrongSetting(`${what} must be an object, got ${JSON.stringify(value).slice(0, 80)}.`)
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new WrongSetting(`It is not JSON: ${(error as Error).message}.`)
  }
}
