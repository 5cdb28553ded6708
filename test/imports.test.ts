// Who may import whom, what an import loads, and that an import does nothing else.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import manifest from '../package.json' with { type: 'json' }
import { evaluate, ROOT, type Staged, stage } from './support/staged.ts'

interface Import {
  readonly file: string
  readonly target: string
  readonly isType: boolean
}

/** Each part of src/ that imports keep apart: `kernel`, `adapters/bullmq`, `middleware/tracing`, `pipeline`, … */
function unitOf(path: string): string {
  const [first = '', second = ''] = path.replace(/^src\//, '').split('/')
  const name = first === 'adapters' || first === 'middleware' ? `${first}/${second}` : first
  return name.replace(/\.ts$/, '')
}

function importsOfSource(): Import[] {
  const found: Import[] = []
  for (const name of readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue
    const file = join('src', name)
    const text = readFileSync(join(ROOT, file), 'utf8')
    const statements = /^(?:import|export)( type)? ?(?:[^'"`;]*?from )?'([^']+)'|\bimport\('([^']+)'\)/gm
    for (const [statement, type, from, called] of text.matchAll(statements)) {
      const target = from ?? called ?? ''
      const path = target.startsWith('.') ? normalize(join(dirname(file), target)) : target
      found.push({ file, target: path, isType: type !== undefined || /typeof $/.test(statement) })
    }
  }
  return found
}

const ALONE = /^(kernel|pipeline|adapters\/.+|middleware\/.+)$/
/** The one way between neighbours: senders default to it. */
const DEFAULT_TELEMETRY = 'middleware/tracing'
const OUTER = ['index', 'telemetry', 'server', 'watch', 'sdk', 'testing']

describe('in the sources', () => {
  const imports = importsOfSource()
  const own = imports.filter(({ target }) => target.startsWith('src/'))
  const offending = (wrong: (from: string, to: string, item: Import) => boolean): string[] =>
    own
      .filter((item) => wrong(unitOf(item.file), unitOf(item.target), item))
      .map(({ file, target }) => `${file} imports ${target}`)

  it('are found', () => {
    expect(own.length).toBeGreaterThan(100)
    expect(imports.some(({ target }) => target === 'pino')).toBe(true)
  })

  it('the kernel imports only itself, Node, and @opentelemetry/api', () => {
    const wrong = imports.filter(
      ({ file, target }) => unitOf(file) === 'kernel' && !/^(src\/kernel\/|node:|@opentelemetry\/api$)/.test(target),
    )
    expect(wrong).toEqual([])
  })

  it('adapters, middleware and pipeline reach the kernel, never each other', () => {
    const wrong = offending(
      (from, to) =>
        ALONE.test(from) &&
        to !== from &&
        to !== 'kernel' &&
        !(from.startsWith('adapters/') && to === DEFAULT_TELEMETRY),
    )
    expect(wrong).toEqual([])
  })

  it('adapters take of their neighbour only tracing() as the default of their senders', () => {
    const wrong = offending(
      (from, to, { target }) =>
        from.startsWith('adapters/') && to === DEFAULT_TELEMETRY && !/\/tracing\.ts$/.test(target),
    )
    expect(wrong).toEqual([])
  })

  it.each(OUTER)('nothing but the command line, and what stands for a whole process, imports %s', (outer) => {
    expect(offending((from, to) => to === outer && ![outer, 'cli', 'processes'].includes(from))).toEqual([])
  })

  it('rules and files for dashboards know the names of metrics only, and nothing but the command line knows of them', () => {
    const outward = imports.filter(
      ({ file, target }) =>
        unitOf(file) === 'observability' && !/^(src\/observability\/|src\/kernel\/names\.ts$|node:|yaml$)/.test(target),
    )
    expect(outward).toEqual([])
    expect(offending((from, to) => to === 'observability' && !['observability', 'cli'].includes(from))).toEqual([])
  })

  it('nothing imports the command line', () => {
    expect(offending((from, to) => to === 'cli' && from !== 'cli')).toEqual([])
  })

  it('never turn in a circle', () => {
    const graph = new Map<string, string[]>()
    for (const { file, target, isType } of own) {
      if (!isType) graph.set(file, [...(graph.get(file) ?? []), target])
    }
    const done = new Set<string>()
    const circles: string[] = []
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' > '))
      if (done.has(file) || path.includes(file)) return
      for (const target of graph.get(file) ?? []) visit(target, [...path, file])
      done.add(file)
    }
    for (const file of graph.keys()) visit(file, [])
    expect(circles).toEqual([])
  })

  it('name every package that the manifest has, and no other', () => {
    const names = new Set(
      imports
        .filter(({ target }) => !/^(src\/|node:)/.test(target))
        .map(({ target }) =>
          target
            .split('/')
            .slice(0, target.startsWith('@') ? 2 : 1)
            .join('/'),
        ),
    )
    const declared = new Set([...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)])
    expect([...names].filter((name) => !declared.has(name) && !LOADED_THROUGH_THE_SDK.has(name))).toEqual([])
    expect(Object.keys(manifest.dependencies).filter((name) => !names.has(name))).toEqual([])
  })
})

/** Only for their types: they come with the SDK, and are loaded through it. */
const LOADED_THROUGH_THE_SDK = new Set(['@opentelemetry/core', '@opentelemetry/resources'])

// Each subpath, and the packages that it needs: in a project with these and no others it loads.
const API = '@opentelemetry/api'
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  taskspan: [API],
  'taskspan/telemetry': [API, 'prom-client', 'pino'],
  'taskspan/tracing': [API],
  'taskspan/metrics': [API, 'prom-client'],
  'taskspan/logging': [API, 'pino'],
  'taskspan/bullmq': [API],
  'taskspan/amqp': [API],
  'taskspan/cron': [API, 'croner'],
  'taskspan/pipeline': [API, 'p-retry'],
  'taskspan/spans': [API],
  'taskspan/sdk': [API],
  'taskspan/server': [API, 'prom-client', 'pino'],
  'taskspan/watch': [API, 'prom-client', 'croner'],
  'taskspan/processes': [API, 'prom-client', 'pino'],
  'taskspan/testing': [API, 'prom-client', 'pino', '@opentelemetry/sdk-trace-node'],
}

/** `taskspan/register` starts an SDK: that is its purpose, and has a test of its own. */
const subpaths = Object.entries(manifest.exports)
  .filter(([subpath, target]) => typeof target === 'object' && subpath !== './register')
  .map(([subpath]) => `taskspan${subpath.slice(1)}`)

interface Loaded {
  readonly names: readonly string[]
  readonly before: unknown
  readonly after: unknown
  readonly taken: readonly string[]
  readonly started: readonly string[]
}

describe('in a process', () => {
  let staged: Staged
  beforeAll(async () => {
    staged = await stage()
  })
  afterAll(() => staged?.remove())

  const loads = new Map<string, Promise<Loaded>>()
  /** Loads a subpath by require(), in a process and a project of its own. */
  function loaded(subpath: string): Promise<Loaded> {
    let load = loads.get(subpath)
    if (load === undefined) {
      const needs = NEEDS[subpath] ?? []
      // The packages it needs come first: what they do is theirs, as in a process that has them already.
      const packages = needs.map((name) => `await import('${name}')`).join('\n')
      const code = SNAPSHOT.replace('PACKAGES', packages).replace('SUBPATH', subpath)
      load = staged.project(needs).then((project) => evaluate<Loaded>(project, code, '--no-warnings'))
      loads.set(subpath, load)
    }
    return load
  }

  it.each(subpaths)(
    '%s needs only its own packages, and can be required: nothing awaits at its top level',
    async (subpath) => {
      expect((await loaded(subpath)).names).not.toEqual([])
    },
  )

  it.each(subpaths)('%s opens, registers and patches nothing', async (subpath) => {
    const { before, after, taken, started } = await loaded(subpath)
    expect(after).toEqual(before)
    expect(taken).toEqual([])
    expect(started).toEqual([])
  })

  it.each(subpaths)('%s loads nothing of Node that is large and that few need', async (subpath) => {
    const needs = NEEDS[subpath] ?? []
    const added = await evaluate<string[]>(
      await staged.project(needs),
      `for (const name of ${JSON.stringify(needs)}) await import(name)
       const before = new Set(process.moduleLoadList)
       await import('${subpath}')
       console.log(JSON.stringify(process.moduleLoadList.filter((name) => !before.has(name))))`,
      '--no-warnings',
    )
    expect(added.filter((name) => /undici|http2|inspector|mime|parse_args/.test(name))).toEqual([])
  })
})

/** What an import could have done to a process, and every function of Node's that an instrumentation would replace. */
const SNAPSHOT = `
  import fs from 'node:fs'
  import { createRequire } from 'node:module'
  const modules = await Promise.all(
    ['http', 'https', 'http2', 'net', 'tls', 'dns', 'fs', 'events', 'timers', 'async_hooks', 'child_process', 'stream',
     'worker_threads', 'diagnostics_channel', 'process', 'module'].map(async (name) => [name, (await import('node:' + name)).default]))
  const objects = [...modules, ['global', globalThis], ['Promise', Promise], ['console', console]]
    .flatMap(([name, object]) => [[name, object], ...Object.entries(object)
      .filter(([, value]) => typeof value === 'function' && value.prototype).map(([key, { prototype }]) => [name + '.' + key + '#', prototype])])
  const functions = () => new Map(objects.flatMap(([name, object]) =>
    Object.entries(Object.getOwnPropertyDescriptors(object)).map(([key, { value, get }]) => [name + '.' + key, value ?? get])
      .filter(([, value]) => typeof value === 'function')))
  const state = () => ({
    handles: process.getActiveResourcesInfo().sort(),
    listeners: process.eventNames().map((name) => [String(name), process.listenerCount(name)]).sort(),
    otel: Object.keys(globalThis[Symbol.for('opentelemetry.js.api.1')] ?? {}),
    globals: Reflect.ownKeys(globalThis).map(String).filter((key) => key !== 'Symbol(taskspan.shared.1)').sort(),
    stackTraceLimit: Error.stackTraceLimit,
    environment: { ...process.env },
  })
  const settled = () => new Promise((resolve) => setTimeout(resolve, 20)) // the loader closes its files
  PACKAGES
  await settled()
  const identities = functions()
  const before = state()
  const started = []
  const timers = ['setTimeout', 'setInterval', 'setImmediate'].map((name) => [name, globalThis[name]])
  for (const [name, real] of timers) globalThis[name] = (...args) => (started.push(name), real(...args))
  const names = Object.keys(createRequire(process.cwd() + '/here.js')('SUBPATH'))
  for (const [name, real] of timers) globalThis[name] = real
  await settled()
  const after = state()
  const taken = [...functions()].filter(([name, fn]) => identities.get(name) !== fn).map(([name]) => name)
  fs.writeSync(1, JSON.stringify({ names, before, after, taken, started }))
`
