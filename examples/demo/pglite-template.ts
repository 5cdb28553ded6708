// A migrated, empty database in memory: from a snapshot made by the first run, or built when there is none that works.
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import { PGlite } from '@electric-sql/pglite'
import { LATEST_SCHEMA_VERSION, runMigrations } from 'bullmq'
import { pglitePool } from './pglite-pool.ts'

export type Progress = (line: string) => void

const defaultCache = fileURLToPath(new URL('../../node_modules/.cache/taskspan-demo/', import.meta.url))

export async function openDatabase(progress: Progress, cache = defaultCache): Promise<PGlite> {
  const snapshot = join(cache, `${await versions()}.tar.gz`)
  const db = (await restore(snapshot, progress)) ?? (await build(snapshot, progress))
  await db.exec('SET search_path TO bullmq')
  return db
}

async function versions(): Promise<string> {
  const require = createRequire(import.meta.url)
  const version = async (file: string): Promise<string> => JSON.parse(await readFile(file, 'utf8')).version
  const bullmq = await version(require.resolve('bullmq/package.json'))
  // PGlite does not export its package.json.
  const pglite = await version(join(dirname(require.resolve('@electric-sql/pglite')), '..', 'package.json'))
  return `bullmq-${bullmq}-pglite-${pglite}`
}

async function restore(snapshot: string, progress: Progress): Promise<PGlite | undefined> {
  const packed = await readFile(snapshot).catch(() => undefined)
  if (!packed) return undefined
  try {
    // gunzip checks length and CRC. Never hand PGlite a damaged file: it leaves an unhandled rejection behind.
    const tar = await promisify(gunzip)(packed)
    const db = await PGlite.create({ loadDataDir: new Blob([new Uint8Array(tar)]) })
    const { rows } = await db.query<{ version: number }>('SELECT max(version) AS version FROM bullmq.migration')
    if (rows[0]?.version === LATEST_SCHEMA_VERSION) return db
    await db.close()
    progress('the saved database has another schema: building it again')
  } catch (error) {
    progress(`the saved database is damaged (${reason(error)}): building it again`)
  }
  await rm(snapshot, { force: true }).catch(() => undefined)
  return undefined
}

async function build(snapshot: string, progress: Progress): Promise<PGlite> {
  progress('preparing an embedded PostgreSQL for BullMQ (first run only, a few seconds)')
  const db = await PGlite.create()
  await runMigrations(await pglitePool(db).connect())
  await db.exec('CHECKPOINT')
  try {
    const tar = await db.dumpDataDir('none')
    const packed = await promisify(gzip)(await tar.arrayBuffer(), { level: 1 })
    // Written beside and renamed: a run that dies here, or two runs at once, leave no half file.
    const partial = `${snapshot}.${process.pid}`
    await mkdir(dirname(snapshot), { recursive: true })
    await writeFile(partial, packed)
    await rename(partial, snapshot)
  } catch (error) {
    progress(`the database could not be saved for the next run (${reason(error)})`)
  }
  return db
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
