// What the application has: which libraries are installed, which were loaded, and of what kind its first file is.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, isAbsolute, join, sep } from 'node:path'

const own = createRequire(import.meta.url)

/** The first file of this process; `node --eval` has none. */
const entry = (): string | undefined => (isAbsolute(process.argv[1] ?? '') ? process.argv[1] : undefined)

/** As the application would find it: from its first file, else from here. */
export function isInstalled(library: string): boolean {
  const requires = [createRequire(entry() ?? join(process.cwd(), 'any.js')), own]
  return requires.some((require) => require.resolve.paths(library)?.some((folder) => has(join(folder, library))))
}

/** Whether `require`, or an `import` of CommonJS, has loaded it. */
export function isRequired(library: string): boolean {
  const folder = folderOf(library, sep)
  return Object.keys(own.cache).some((file) => file.includes(folder))
}

/**
 * Whether it was imported as an ES module. Node keeps no list of these that a program may read, but it shows its debugger
 * which scripts there are; asked once, where the answer can be yes. Without a debugger nobody can know.
 */
export function isImported(library: string): boolean {
  if (!isEsModule()) return false
  const folder = folderOf(library, '/')
  let found = false
  try {
    const { Session } = own('node:inspector') as typeof import('node:inspector')
    const session = new Session()
    session.connect()
    session.on('Debugger.scriptParsed', ({ params }) => {
      if (params.url.includes(folder)) found = true
    })
    session.post('Debugger.enable') // tells of every script before it returns
    session.post('Debugger.disable')
    session.disconnect()
  } catch {
    // Node may be built, or started, without it
  }
  return found
}

const folderOf = (library: string, slash: string): string =>
  [slash, 'node_modules', slash, library.replaceAll('/', slash), slash].join('')

/** Whether the first file of this process is an ES module. */
function isEsModule(): boolean {
  const first = entry()
  if (first === undefined || /\.c[jt]s$/.test(first)) return false
  if (/\.m[jt]s$/.test(first)) return true
  for (let folder = dirname(first); ; folder = dirname(folder)) {
    const manifest = read(join(folder, 'package.json'))
    if (manifest !== undefined) return /"type"\s*:\s*"module"/.test(manifest)
    if (folder === dirname(folder)) return false
  }
}

const has = (folder: string): boolean => read(join(folder, 'package.json')) !== undefined

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
