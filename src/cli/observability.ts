// `taskspan observability`: writes rules, dashboards, runbooks and the stack, and keeps what the user made of them.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundle } from '../observability/bundle.ts'
import { fromKept, type Kept, toKept } from '../observability/kept.ts'
import { hashOf, type Placing, placing } from '../observability/placing.ts'
import { RUNBOOKS } from '../observability/rule.ts'
import { asFlags, type Chosen, NONE, WrongSetting, withChosen } from '../observability/settings.ts'
import { OBSERVABILITY_USAGE, readObservabilityFlags } from './observability-flags.ts'
import { UsageError } from './usage.ts'

const KEPT = 'taskspan.json'
// The same from src/cli/ and from dist/cli/.
const PACKAGE = fileURLToPath(new URL('../../', import.meta.url))

/** @throws {UsageError} before anything is written; or where a file cannot be */
export async function runObservability(args: readonly string[], say: (line: string) => void): Promise<void> {
  const { out, help, chosen } = readObservabilityFlags(args)
  if (help) return say(OBSERVABILITY_USAGE)
  try {
    await runIn(out, chosen, say)
  } catch (error) {
    // A file where a folder should be, no permission, a full disk: nothing that a stack would explain.
    const { syscall, message } = error as NodeJS.ErrnoException
    throw syscall === undefined ? error : new UsageError(`${out} cannot be written: ${message}.`, OBSERVABILITY_USAGE)
  }
}

async function runIn(out: string, chosen: Chosen, say: (line: string) => void): Promise<void> {
  const before = await keptIn(out)
  const settings = correct(() => withChosen(before.settings, chosen))
  const files = bundle(await shipped(), settings)

  const placed: Record<Placing, string[]> = { write: [], update: [], same: [], keep: [], beside: [], deleted: [] }
  for (const [path, text] of Object.entries(files)) {
    placed[await place(join(out, path), text, before.files[path])].push(path)
  }
  const old = await clear(out, before.files, files)
  const hashes = Object.fromEntries(Object.entries(files).map(([path, text]) => [path, hashOf(text)]))
  await write(join(out, KEPT), toKept({ settings, files: hashes }))

  const flags = asFlags(settings)
  say(`${join(out, KEPT)} keeps ${flags.length === 0 ? 'no settings: all are the defaults' : flags.join(' ')}`)
  for (const line of report(out, placed, old)) say(line)
  if (settings.runbooks === undefined) {
    say(`runbook_url in alerts is ${RUNBOOKS}/<alert>.md, a path in ${out}; --runbooks <url> when they are published`)
  }
}

async function keptIn(out: string): Promise<Kept> {
  const text = await textOf(join(out, KEPT))
  if (text === undefined) return { settings: NONE, files: {} }
  return correct(() => fromKept(text), `${join(out, KEPT)} cannot be used. `)
}

function correct<T>(read: () => T, where = ''): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof WrongSetting)) throw error
    throw new UsageError(where + error.message, OBSERVABILITY_USAGE)
  }
}

async function place(path: string, text: string, written: string | undefined): Promise<Placing> {
  const placed = placing(await textOf(path), text, written)
  if (placed === 'write' || placed === 'update') await write(path, text)
  if (placed === 'beside') await write(`${path}.new`, text)
  return placed
}

interface Old {
  readonly removed: string[]
  readonly left: string[]
}

/** Takes away what we wrote once and is of no use any more: an old file of rules would still fire. */
async function clear(out: string, before: Kept['files'], now: Readonly<Record<string, string>>): Promise<Old> {
  const old: Old = { removed: [], left: [] }
  for (const [path, hash] of Object.entries(before)) {
    // The file is the user's, and may name anything: only what lies in `out` is ours.
    if (path in now || path.split('/').includes('..')) continue
    const text = await textOf(join(out, path))
    if (text === undefined) continue
    if (hashOf(text) !== hash) old.left.push(path)
    else {
      await rm(join(out, path))
      old.removed.push(path)
    }
  }
  return old
}

function report(out: string, placed: Readonly<Record<Placing, readonly string[]>>, { removed, left }: Old): string[] {
  const each = (paths: readonly string[], words: string): string[] =>
    paths.map((path) => `${join(out, path)}: ${words}`)
  const { write: written, update, same, keep, beside, deleted } = placed
  return [
    ...each(update, 'updated'),
    ...each(keep, 'kept as you changed it'),
    ...beside.map(
      (path) => `${join(out, path)}: kept, since it is yours; what would be new is in ${join(out, path)}.new`,
    ),
    ...each(deleted, `not written again, since you deleted it; to have it back, delete its line in ${KEPT}`),
    ...each(removed, 'removed: it is not needed any more'),
    ...each(left, 'not needed any more, and not removed, since you changed it'),
    `${written.length} files written, ${same.length} unchanged`,
  ]
}

async function shipped(): Promise<Record<string, string>> {
  const otlp = 'docs/otlp-alerts.md'
  return {
    ...(await textsIn('observability')),
    ...(await textsIn('docs/runbooks')),
    [otlp]: await readFile(join(PACKAGE, otlp), 'utf8'),
  }
}

/** Every text in a folder of the package, by its path there. */
async function textsIn(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(join(PACKAGE, folder), { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const texts = paths.sort().map(async (path) => {
    return [relative(PACKAGE, path).split(sep).join('/'), await readFile(path, 'utf8')] as const
  })
  return Object.fromEntries(await Promise.all(texts))
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
}
