// The package as it is published: what is in it, what its subpaths resolve to, and a project that has only what it must.
import { readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import manifest from '../package.json' with { type: 'json' }
import { VERSION } from '../src/kernel/version.ts'
import { evaluate, ROOT, run, type Staged, stage } from './support/staged.ts'

let staged: Staged
beforeAll(async () => {
  staged = await stage()
})
afterAll(() => staged?.remove())

const targets = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
  typeof target === 'string' ? [] : [[subpath, target] as const],
)

describe('what is in it', () => {
  it('is the built code, its types and maps, what people look at it with, and the papers', () => {
    const docs = readdirSync(join(ROOT, 'docs')).flatMap((name) => (name.endsWith('.md') ? [`docs/${name}`] : []))
    const papers = ['ARCHITECTURE.md', 'CHANGELOG.md', 'LICENSE', 'README.md', ...docs, 'package.json']
    const kinds = /^(dist\/.+\.(js|js\.map|d\.ts)|observability\/.+|docs\/runbooks\/.+\.md)$/
    expect(staged.files.filter((file) => !kinds.test(file)).sort()).toEqual(papers)
  })

  it('is few files of code, with a map for each that holds some', async () => {
    const files = staged.files.filter((file) => file.endsWith('.js'))
    // Each file costs an import about a millisecond: one per subpath, and few that they share.
    expect(files.length).toBeLessThan(targets.length + 10)
    for (const file of files) {
      const text = await readFile(join(staged.directory, file), 'utf8')
      const isList = /^(export \{[^}]*\} from "[^"]+";\s*)+$/.test(text)
      expect(staged.files.includes(`${file}.map`), file).toBe(!isList)
    }
  })

  it('holds each source once: what several subpaths share is one and the same', async () => {
    const holders = new Map<string, string[]>()
    for (const file of staged.files.filter((name) => name.endsWith('.js.map'))) {
      const { sources } = JSON.parse(await readFile(join(staged.directory, file), 'utf8')) as { sources: string[] }
      for (const source of sources) {
        const path = join(dirname(file), source)
        holders.set(path, [...(holders.get(path) ?? []), file])
      }
    }
    expect(holders.size).toBeGreaterThan(150)
    expect([...holders].filter(([path, files]) => !path.startsWith('src/') || files.length > 1)).toEqual([])
  })

  it('gives its functions and classes the names that they have in the sources', async () => {
    const project = await staged.project([...REQUIRED, ...BROUGHT, '@opentelemetry/sdk-trace-node'])
    const names = targets.flatMap(([subpath]) => (subpath === './register' ? [] : `taskspan${subpath.slice(1)}`))
    const others = await evaluate<string[]>(
      project,
      `const modules = await Promise.all(${JSON.stringify(names)}.map((name) => import(name)))
       const renamed = ([name, value]) => typeof value === 'function' && value.name !== name
       console.log(JSON.stringify(modules.flatMap((exports) => Object.entries(exports).filter(renamed).map(String))))`,
    )
    expect(others).toEqual([])
  })

  it('shows the sources behind the maps, and nothing of the machine that built it', async () => {
    for (const file of staged.files.filter((name) => /\.(js|map|d\.ts)$/.test(name))) {
      const text = await readFile(join(staged.directory, file), 'utf8')
      expect(text.includes(staged.directory) || text.includes(ROOT), file).toBe(false)
      if (!file.endsWith('.map')) continue
      const { sources, sourcesContent } = JSON.parse(text) as { sources: string[]; sourcesContent?: string[] }
      expect(sourcesContent, file).toHaveLength(sources.length)
    }
  })

  it('has one version', () => {
    expect(VERSION).toBe(manifest.version)
  })
})

describe('its subpaths', () => {
  it.each(targets)('%s has types and code', (_, { types, default: code }) => {
    expect(staged.files).toContain(types.slice(2))
    expect(staged.files).toContain(code.slice(2))
  })

  it('name the types first, as TypeScript reads them', () => {
    for (const [subpath, target] of targets) expect(Object.keys(target), subpath).toEqual(['types', 'default'])
  })

  it('satisfy publint', async () => {
    const { messages } = await publint({ pkgDir: staged.directory, pack: false, strict: true })
    expect(messages.map((message) => formatMessage(message, manifest))).toEqual([])
  })

  it('resolve for every kind of importer that can load ES modules, as attw sees it', async () => {
    const attw = join(ROOT, 'node_modules/@arethetypeswrong/cli/dist/index.js')
    // Ends with an error code where it finds a problem that the profile does not ignore.
    const { stdout } = await run(process.execPath, [attw, staged.tarball, '--profile', 'esm-only', '--format', 'ascii'])
    for (const [subpath] of targets) expect(stdout).toContain(`"taskspan${subpath.slice(1)}"`)
  })
})

describe('its peers', () => {
  it('are three that npm installs; all others are optional', () => {
    const optional = Object.keys(manifest.peerDependenciesMeta)
    const required = Object.entries(manifest.peerDependencies).filter(([name]) => !optional.includes(name))
    expect(Object.fromEntries(required)).toEqual({
      '@opentelemetry/api': '^1.9.0',
      pino: '^10.0.0',
      'prom-client': '^15.0.0',
    })
    for (const name of optional) expect(Object.keys(manifest.peerDependencies)).toContain(name)
  })
})

const CONSUMER = `
import { Worker, Queue, type Job } from 'bullmq'
import { compose, currentTask, reject, TaskspanError, type Middleware } from 'taskspan'
import { telemetry } from 'taskspan/telemetry'
import { tracing, injectHeaders } from 'taskspan/tracing'
import { metrics, render } from 'taskspan/metrics'
import { logging, log, logger } from 'taskspan/logging'
import { bullmq, inject, propagation } from 'taskspan/bullmq'
import { cron } from 'taskspan/cron'

export const connect = (): void => {
  new Queue('clips', { connection: {}, telemetry: propagation() })
  new Worker('clips', instrument(render_), { connection: {} })
}
const timing: Middleware = async (task, next) => {
  const result = await next()
  log().info({ ms: performance.now() - task.clock }, 'timed')
  return result
}
const t = telemetry({ logger: logger({ level: 'silent' }) })
const instrument = bullmq(compose(t, timing))
const render_ = async (job: Job<{ n: number }, number>): Promise<number> => {
  if (job.data.n < 0) throw reject('malformed')
  return job.data.n + (currentTask()?.attempt ?? 0)
}
const job = { id: '1', name: 'render', data: { n: 6 }, opts: {}, attemptsMade: 0, queueName: 'clips', timestamp: Date.now() }
const result: number = await instrument(render_)(job as unknown as Job<{ n: number }, number>)
const ticked: string = await cron(t)('nightly', () => 'ticked', { intervalMs: 1000 })()
const { body } = await render(t.registry!)
let code = ''
try {
  metrics({ prefx: 'x' } as never)
} catch (error) {
  if (error instanceof TaskspanError) code = error.code
}
const parts: Middleware = compose(tracing(), metrics(), logging({ logger: logger({ level: 'silent' }) }))
console.log(JSON.stringify({ result, ticked, code, counted: body.includes('task_name="render"'),
  parts: typeof parts, headers: injectHeaders(inject().telemetry?.metadata === undefined ? {} : { a: 'b' }) }))
`
const TSCONFIG = {
  compilerOptions: {
    ...{ target: 'ES2022', module: 'NodeNext', strict: true, exactOptionalPropertyTypes: true, types: ['node'] },
    ...{ noUncheckedIndexedAccess: true, outDir: 'out', rootDir: '.' },
  },
  include: ['main.ts'],
}
const REQUIRED = ['@opentelemetry/api', 'prom-client', 'pino']
const BROUGHT = Object.keys(manifest.dependencies)

describe('a project that has only the required peers and bullmq', () => {
  it('type-checks, also the declarations of the package themselves, and runs', async () => {
    const project = await staged.project([...REQUIRED, ...BROUGHT, 'bullmq', '@types/node'])
    await writeFile(join(project, 'package.json'), JSON.stringify({ type: 'module' }))
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG))
    await writeFile(join(project, 'main.ts'), CONSUMER)

    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    const check = run(process.execPath, [tsc, '-p', '.', '--skipLibCheck', 'false'], { cwd: project })
    const { stdout: complaints } = await check.catch((error: { stdout: string }) => error)
    // What others' declarations say against each other is not ours to mend; and checked they are all the same.
    expect(complaints.split('\n').filter((line) => /^(main\.ts|node_modules\/taskspan)/.test(line))).toEqual([])

    const { stdout } = await run(process.execPath, ['out/main.js'], { cwd: project })
    expect(JSON.parse(stdout)).toEqual({
      ...{ result: 7, ticked: 'ticked', code: 'UNKNOWN_OPTION', counted: true, parts: 'function', headers: {} },
    })
  })

  it('can write rules, dashboards and runbooks', async () => {
    const project = await staged.project([...REQUIRED, ...BROUGHT])
    const main = join(project, 'node_modules/taskspan/dist/cli/main.js')
    const { stdout } = await run(process.execPath, [main, 'observability', '--depth', '250'], { cwd: project })
    expect(stdout).toContain(`${join('ops', 'taskspan.json')} keeps --depth 250\n`)
    expect(await readFile(join(project, 'ops/prometheus/rules/taskspan-queues.yml'), 'utf8')).toContain('> 250')
    for (const file of ['dashboards/overview.json', 'runbooks/queue-backlog-high.md', 'compose.yaml']) {
      expect(await readFile(join(project, 'ops', file), 'utf8'), file).not.toBe('')
    }
  })

  it('may be of CommonJS', async () => {
    const project = await staged.project([...REQUIRED, ...BROUGHT])
    await writeFile(
      join(project, 'main.cjs'),
      `const { telemetry } = require('taskspan/telemetry')
       const { consumer } = require('taskspan')
       const consume = consumer({ system: 'm', read: (name) => ({ name, queue: 'q' }) }, telemetry({ logging: false }))
       consume('render', () => 7).then((result) => console.log(JSON.stringify(result)))`,
    )
    const { stdout } = await run(process.execPath, ['main.cjs'], { cwd: project })
    expect(JSON.parse(stdout)).toBe(7)
  })

  it('shares one current task with a second copy of the package', async () => {
    const project = await staged.project([...REQUIRED, ...BROUGHT])
    const copy = await staged.project([...REQUIRED, ...BROUGHT])
    const names = await evaluate<string[]>(
      project,
      `import { consumer } from 'taskspan'
       import { currentTask } from '${copy}/node_modules/taskspan/dist/index.js'
       const consume = consumer({ system: 'm', read: (name) => ({ name, queue: 'q' }) }, (task, next) => next())
       console.log(JSON.stringify([currentTask()?.name ?? 'none', await consume('render', () => currentTask()?.name)]))`,
    )
    expect(names).toEqual(['none', 'render'])
  })
})
