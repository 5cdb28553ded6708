// The package as npm would publish it, built from the sources of now into a directory of its own: nobody's dist is touched.
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'

export const run = promisify(execFile)
export const ROOT = resolve(import.meta.dirname, '../..')
const MODULES = join(ROOT, 'node_modules')
const LEFT_BEHIND = new Set(['node_modules', '.git', '.cache', 'dist', 'coverage'])

export interface Staged {
  /** A copy of the project, built. */
  readonly directory: string
  readonly tarball: string
  /** The names of the files in it. */
  readonly files: readonly string[]
  /** A new project that has the packed package, and of everything else only these packages. */
  project(packages: readonly string[]): Promise<string>
  remove(): Promise<void>
}

export async function stage(): Promise<Staged> {
  const home = await mkdtemp(join(tmpdir(), 'taskspan-package-'))
  const directory = join(home, 'copy')
  const kept = (await readdir(ROOT)).filter((name) => !LEFT_BEHIND.has(name))
  for (const name of kept) await cp(join(ROOT, name), join(directory, name), { recursive: true })
  await symlink(MODULES, join(directory, 'node_modules'))
  await run('npm', ['run', 'build'], { cwd: directory })

  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', home], {
    cwd: directory,
  })
  const [{ filename, files }] = JSON.parse(stdout) as [{ filename: string; files: { path: string }[] }]
  const tarball = join(home, filename)
  await run('tar', ['-xzf', tarball, '-C', home]) // as `package`

  return {
    directory,
    tarball,
    files: files.map(({ path }) => path),
    async project(packages) {
      const project = await mkdtemp(join(home, 'project-'))
      await cp(join(home, 'package'), join(project, 'node_modules/taskspan'), { recursive: true })
      for (const name of packages) {
        const link = join(project, 'node_modules', name)
        await mkdir(dirname(link), { recursive: true })
        await symlink(join(MODULES, name), link)
      }
      return project
    },
    remove: () => rm(home, { recursive: true, force: true }),
  }
}

/** Runs a module's text in a project and gives what it printed as JSON. */
export async function evaluate<T>(project: string, code: string, ...flags: string[]): Promise<T> {
  const { stdout } = await run(process.execPath, [...flags, '--input-type=module', '--eval', code], { cwd: project })
  return JSON.parse(stdout) as T
}
