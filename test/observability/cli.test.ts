// `npx taskspan observability`: what it writes, what it keeps, and what it says.
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { promisify } from 'node:util'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { amtool, promtool } from '../../scripts/prometheus/index.ts'
import { runObservability } from '../../src/cli/observability.ts'
import { UsageError } from '../../src/cli/usage.ts'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '../..')
const QUEUES = 'prometheus/rules/taskspan-queues.yml'

let out: string
beforeEach(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'taskspan-ops-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  out = join(directory, 'ops')
})

/** Runs the command, and gives what it says. */
async function observability(...flags: string[]): Promise<string> {
  const lines: string[] = []
  await runObservability(['--out', out, ...flags], (line) => lines.push(line))
  return lines.join('\n')
}
const read = (path: string): Promise<string> => readFile(join(out, path), 'utf8')
const change = (path: string, text: string): Promise<void> => writeFile(join(out, path), text)
async function textsOf(directory: string): Promise<Record<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file.slice(directory.length + 1), await readFile(file, 'utf8')])),
  )
}

describe('without flags', () => {
  it('writes what ships, with the runbooks, and no settings', async () => {
    expect(await observability()).toMatch(
      /no settings: all are the defaults\n\d+ files written, 0 unchanged\nrunbook_url/,
    )
    const { 'taskspan.json': kept, ...written } = await textsOf(out)
    const runbooks = Object.entries(written).filter(([path]) => path.startsWith('runbooks/'))
    expect(runbooks.length).toBeGreaterThan(30)
    const stack = Object.entries(written).filter(([path]) => !/^(runbooks\/|otlp-alerts)/.test(path))
    const linked = (texts: Record<string, string>): Record<string, string> =>
      Object.fromEntries(Object.entries(texts).map(([path, text]) => [path, text.replace(/\]\([^)]+\)/g, '](…)')]))
    expect(linked(Object.fromEntries(stack))).toEqual(linked(await textsOf(join(ROOT, 'observability'))))
    expect(JSON.parse(kept ?? '').settings).toEqual({ 'per-task': {}, without: [] })
  })

  it('writes nothing anew when nothing is new', async () => {
    await observability()
    const before = await textsOf(out)
    expect(await observability()).toMatch(/\n0 files written, \d+ unchanged/)
    expect(await textsOf(out)).toEqual(before)
  })

  it('writes texts whose links lead to what it wrote', async () => {
    await observability()
    const written = await textsOf(out)
    const links = Object.entries(written).flatMap(([path, text]) =>
      path.endsWith('.md')
        ? [...text.matchAll(/\]\((?![a-z]+:|#)([^)\s#]+)/g)].map(([, link]) =>
            posix.join(posix.dirname(path), link ?? ''),
          )
        : [],
    )
    expect(links).toEqual(expect.arrayContaining(['queries/README.md', 'otlp-alerts.md', 'runbooks/cron-silent.md']))
    const folders = Object.keys(written).map((path) => posix.dirname(path))
    expect(links.filter((link) => !(link in written) && !folders.includes(link.replace(/\/$/, '')))).toEqual([])
  })

  it('writes a configuration that promtool and amtool take', async () => {
    await observability('--depth', '5', '--per-task', 'render_clip=60s', '--prefix', 'jobs')
    const config = join(out, 'prometheus/prometheus.yml')
    expect((await run(await promtool(), ['check', 'config', config])).stdout).toMatch(/\d+ rule files found/)
    await run(await amtool(), ['check-config', join(out, 'alertmanager/alertmanager.yml')])
  })
})

describe('with thresholds', () => {
  it('writes them into the rules, and keeps them when run again', async () => {
    expect(await observability('--depth', '250', '--per-task', 'render_clip=60s')).toContain(
      'keeps --depth 250 --per-task render_clip=60s\n',
    )
    expect(await read(QUEUES)).toContain('> 250')
    expect(await read('prometheus/rules/taskspan-durations.yml')).toContain('task_name="render_clip"')

    const said = await observability('--wait', '5m')
    expect(said).toContain('keeps --depth 250 --wait 5m --per-task render_clip=60s\n')
    expect(said).toContain(`${join(out, QUEUES)}: updated\n`)
    expect(await read(QUEUES)).toMatch(/> 250[\s\S]*> 300/)

    await observability('--depth', 'default')
    expect(await read(QUEUES)).toMatch(/> 100[\s\S]*> 300/)
  })

  it('says in the runbooks of their alerts that they are not the defaults', async () => {
    await observability('--failure-rate', '0.1', '--duration', '2m', '--per-task', 'render_clip=60s')
    const { 'taskspan.json': _, ...written } = await textsOf(out)
    const told = Object.entries(written).flatMap(([path, text]) => {
      const [, flags] =
        /^# \w+\n\nLimits in this text are the defaults\. Here they are set by `(.+)`\.\n/.exec(text) ?? []
      return flags === undefined ? [] : [[path, flags]]
    })
    expect(Object.fromEntries(told)).toEqual({
      'runbooks/task-failure-rate-high.md': '--failure-rate 0.1',
      'runbooks/task-duration-p99-high.md': '--duration 2m --per-task render_clip=60s',
      'runbooks/task-duration-average-high.md': '--duration 2m --per-task render_clip=60s',
    })
  })

  it('says what it keeps as a shell takes it', async () => {
    const flags = ['--dead-letter-queues', '(dead|lost)', '--per-task', "clip's & co=60s"]
    expect(await observability(...flags)).toContain(
      `keeps --dead-letter-queues '(dead|lost)' --per-task 'clip'\\''s & co=60s'\n`,
    )
  })

  it('names metrics by another prefix in every file', async () => {
    await observability('--prefix', 'jobs')
    const { 'taskspan.json': _, ...written } = await textsOf(out)
    const left = Object.entries(written).filter(([, text]) => /taskiq[_:]|["'`.]taskiq\./.test(text))
    expect(left.map(([path]) => path)).toEqual([])
    expect(written['dashboards/overview.json']).toContain('jobs_tasks_total')
    expect(written['runbooks/cron-silent.md']).toContain('jobs_cron_last_success_timestamp_seconds')
  })

  it('has a runbook for each alert, at the address that the alert gives', async () => {
    await observability('--runbooks', 'https://ops.example.org/runbooks')
    const text = Object.values(await textsOf(join(out, 'prometheus/rules'))).join('')
    const urls = [...text.matchAll(/runbook_url: (\S+)/g)].map(([, url]) => url ?? '')
    expect(urls.length).toBeGreaterThan(30)
    const runbooks = await readdir(join(out, 'runbooks'))
    for (const url of urls) {
      expect(url).toMatch(/^https:\/\/ops\.example\.org\/runbooks\/[^/]+\.md$/)
      expect(runbooks).toContain(url.split('/').at(-1))
    }
  })

  it('reads what a person wrote into taskspan.json', async () => {
    await observability()
    const kept = JSON.parse(await read('taskspan.json'))
    await change('taskspan.json', JSON.stringify({ ...kept, settings: { depth: 250, without: ['CronMissed'] } }))
    await observability()
    expect(await read(QUEUES)).toContain('> 250')
    expect(await read('prometheus/rules/taskspan-schedules.yml')).not.toContain('alert: CronMissed')
  })
})

describe('a file that the user', () => {
  it('changed stays as it is', async () => {
    await observability()
    await change('prometheus/prometheus.yml', '# mine\n')
    expect(await observability()).toContain(`${join(out, 'prometheus/prometheus.yml')}: kept as you changed it\n`)
    expect(await read('prometheus/prometheus.yml')).toBe('# mine\n')
    expect(await readdir(join(out, 'prometheus'))).toEqual(['prometheus.yml', 'rules'])
  })

  it('changed, and that would be another one now, gets the new one beside it, once', async () => {
    await observability()
    const mine = `${await read(QUEUES)}# mine\n`
    await change(QUEUES, mine)
    expect(await observability('--depth', '250')).toContain(
      `${join(out, QUEUES)}: kept, since it is yours; what would be new is in ${join(out, QUEUES)}.new\n`,
    )
    expect(await read(QUEUES)).toBe(mine)
    expect(await read(`${QUEUES}.new`)).toContain('> 250')

    await rm(join(out, `${QUEUES}.new`))
    expect(await observability()).toContain(`${join(out, QUEUES)}: kept as you changed it\n`)
    expect(await readdir(join(out, 'prometheus/rules'))).not.toContain('taskspan-queues.yml.new')
  })

  it('had before the first run is not overwritten', async () => {
    await mkdir(out)
    await change('compose.yaml', 'services: {}\n')
    expect(await observability()).toContain('compose.yaml: kept, since it is yours; what would be new is in ')
    expect(await read('compose.yaml')).toBe('services: {}\n')
  })

  it('deleted is not written again', async () => {
    await observability()
    await rm(join(out, 'compose.yaml'))
    expect(await observability('--depth', '250')).toContain('compose.yaml: not written again, since you deleted it')
    expect(await readdir(out)).not.toContain('compose.yaml')
  })
})

it('takes away an old file that it wrote itself, but not one that was changed, nor one that lies elsewhere', async () => {
  await observability()
  const outside = join(out, '../outside.yml')
  await writeFile(outside, 'x\n')
  const rules = await read(QUEUES)
  const old = ['prometheus/rules/old.yml', 'prometheus/rules/mine.yml', '../outside.yml']
  await change('prometheus/rules/old.yml', rules)
  await change('prometheus/rules/mine.yml', '# mine\n')
  const kept = JSON.parse(await read('taskspan.json'))
  const files = { ...kept.files, ...Object.fromEntries(old.map((path) => [path, kept.files[QUEUES]])) }
  await change('taskspan.json', JSON.stringify({ ...kept, files }))

  const said = await observability()
  expect(said).toContain('old.yml: removed: it is not needed any more\n')
  expect(said).toContain('mine.yml: not needed any more, and not removed, since you changed it\n')
  expect(await readdir(join(out, 'prometheus/rules'))).not.toContain('old.yml')
  expect(await read('prometheus/rules/mine.yml')).toBe('# mine\n')
  expect(await readFile(outside, 'utf8')).toBe('x\n')
})

describe('refuses, and writes nothing', () => {
  it.each([
    [['--depht', '100'], /Unknown option '--depht'/],
    [['--depth'], /'--depth <value>' argument missing/],
    [['--depth', 'many'], /--depth must be a whole number from 1 on, got 'many'/],
    [['--depth', '0'], /--depth must be a whole number from 1 on, got '0'/],
    [['--failure-rate', '5'], /--failure-rate must be a part of one such as 0.05, got '5'/],
    [['--duration', '60'], /--duration must be a duration such as 30s or 1h30m, got '60'/],
    [['--forget-after', '106752d'], /--forget-after must be at most 3650d, got '106752d'/],
    [['--per-task', 'render_clip'], /--per-task must be a task and a duration/],
    [['--per-task', 'render_clip=soon'], /--per-task render_clip= must be a duration .*got 'soon'/],
    [['--depth', '2000', '--depth-critical', '100'], /--depth-critical must be more than --depth \(2000\)/],
    [['--dead-letter-queues', '(?!live).*'], /--dead-letter-queues must be a regular expression/],
    [['--without', 'Nope'], /no alert 'Nope'/],
    [['--prefix', 'My-app'], /--prefix must match/],
    [['ops'], /Unexpected argument 'ops'/],
    [['--out', ''], /--out must be a folder, got ''/],
  ])('%j, in a sentence', async (flags, message) => {
    const refused = observability(...flags)
    await expect(refused).rejects.toThrow(message)
    await expect(refused).rejects.toBeInstanceOf(UsageError)
    expect(await readdir(join(out, '..'))).toEqual([])
  })

  it('a file where it should write its folder', async () => {
    await writeFile(out, 'mine\n')
    const refused = observability()
    await expect(refused).rejects.toThrow(/ops cannot be written: ENOTDIR/)
    await expect(refused).rejects.toBeInstanceOf(UsageError)
    expect(await readFile(out, 'utf8')).toBe('mine\n')
  })

  it('a taskspan.json that it cannot read', async () => {
    await mkdir(out)
    await change('taskspan.json', '{')
    await expect(observability()).rejects.toThrow(`${join(out, 'taskspan.json')} cannot be used. It is not JSON`)
    expect(await readdir(out)).toEqual(['taskspan.json'])
  })
})

it('is a command of its own, with help of its own, and ends with 2 when it is called wrongly', async () => {
  const taskspan = (...args: string[]) =>
    run(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], { cwd: ROOT })
  expect((await taskspan('observability', '--help')).stdout).toContain('--per-task <task>=<time>')
  expect((await taskspan('--help')).stdout).toContain('taskspan observability')
  const wrong = await taskspan('observability', '--depht').catch((error: { code: number; stderr: string }) => error)
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringMatching(/'--depht'[\s\S]*--failure-rate/) })
  expect(wrong.stderr).not.toMatch(/^ {4}at /m)
})
