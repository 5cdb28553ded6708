// Writes the code of dist/: one file per subpath, and one for each part of src/ that several of them share.
//   npm run build    tsc for the declarations, and then this
import { readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { type OutputChunk, type Plugin, rolldown } from 'rolldown'
import manifest from '../package.json' with { type: 'json' }

const ROOT = join(import.meta.dirname, '..')
const SRC = join(ROOT, 'src')

/**
 * What several subpaths share becomes one file in dist/parts/: state that stood in two files would be there twice. What
 * needs prom-client and what needs pino stand apart, for those who load only one of them; the senders of every adapter
 * need spans.
 */
const PARTS: Readonly<Record<string, RegExp>> = {
  kernel: /^(kernel|middleware\/tracing)\b/,
  metrics: /^middleware\/metrics\b/,
  logging: /^middleware\/(logging|recent)\b/,
  waterfall: /^waterfall\b/,
  sdk: /^sdk\/(?!(index|preload)\.ts)/,
  usage: /^cli\/usage\b/,
}
/** What is loaded by its own name and is no subpath: the command, and what it loads when asked. */
const COMMANDS = [manifest.bin.taskspan, './dist/cli/observability.js']

const subpaths = Object.values(manifest.exports).flatMap((target) => (typeof target === 'string' ? [] : target.default))
const entries = new Set([...subpaths, ...COMMANDS].map((path) => path.replace('./dist/', '').replace(/\.js$/, '')))
const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'))

/** The file in dist/ that a source is written to; undefined where it goes with whoever imports it. */
function homeOf(source: string): string | undefined {
  const part = Object.keys(PARTS).find((name) => PARTS[name]?.test(source))
  if (part !== undefined) return `parts/${part}`
  const entry = source.replace(/\.ts$/, '')
  return entries.has(entry) ? entry : undefined
}

/** Keeps a file to its own sources, and imports all others from where they are written to. */
function homes(home: string, list: string | undefined): Plugin {
  return {
    name: 'homes',
    resolveId(path, importer) {
      if (importer === undefined) return path
      if (!path.startsWith('.')) return { id: path, external: true, moduleSideEffects: false }
      const source = relative(SRC, join(dirname(importer), path))
      const held = homeOf(source)
      if (held === undefined || held === home) return join(SRC, source)
      const target = relative(dirname(home), `${held}.js`)
      return { id: target.startsWith('.') ? target : `./${target}`, external: 'absolute' }
    },
    load: (id) => (id === LIST ? list : undefined),
  }
}

const LIST = join(SRC, 'list-of-exports.ts') // there is no such file
const writtenTo = new Map<string, string>()

/** Bundles one file of dist/: what a list of exports leads to, or else the source of the same name. */
async function write(home: string, list?: string): Promise<OutputChunk> {
  const bundle = await rolldown({
    input: list === undefined ? join(SRC, `${home}.ts`) : LIST,
    plugins: [homes(home, list)],
    platform: 'node',
    tsconfig: false,
    transform: { target: 'es2022' },
    onLog(_level, { message }) {
      throw new Error(`dist/${home}.js: ${message}`)
    },
  })
  const { output } = await bundle.write({
    file: join(ROOT, 'dist', `${home}.js`),
    sourcemap: true,
    // Names of functions and classes are read in stack traces, as `error.type`, and as names of middlewares.
    keepNames: true,
    // What a function is for stands in the declarations and, with all else, in the sources within the maps.
    comments: { annotation: true, jsdoc: false, legal: true },
  })
  for (const id of output[0].moduleIds.filter((each) => each.startsWith(SRC) && each !== LIST)) {
    const source = relative(SRC, id)
    const other = writtenTo.get(source)
    if (other !== undefined) throw new Error(`src/${source} is in ${other}.js and in ${home}.js: name it in PARTS.`)
    writtenTo.set(source, home)
  }
  return output[0]
}

const exportsOf = new Map<string, readonly string[]>()
for (const part of Object.keys(PARTS)) {
  const own = sources.filter((source) => homeOf(source) === `parts/${part}`).sort()
  const { modules } = await write(`parts/${part}`, own.map((source) => `export * from './${source}'\n`).join(''))
  for (const [id, { renderedExports }] of Object.entries(modules)) exportsOf.set(relative(SRC, id), renderedExports)
}
for (const entry of entries) {
  const names = exportsOf.get(`${entry}.ts`)
  await write(entry, names && `export { ${names.join(', ')} } from './${entry}.ts'`)
}
