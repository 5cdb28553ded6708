// The documents are true: every sample type-checks and runs, every link leads somewhere, every table names what there is.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LINE, METRIC, type MetricName, WATCH_METRIC } from '../src/kernel/names.ts'
import { amqpUrl } from './support/rabbitmq.ts'
import { redisUrl } from './support/redis.ts'
import { documents, type Sample, samples } from './support/samples.ts'
import { ROOT, run } from './support/staged.ts'

const directory = join(ROOT, '.cache', `samples-${process.pid}`)
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const all = samples(directory)
const METRICS: readonly MetricName[] = [...Object.values(METRIC), ...Object.values(WATCH_METRIC)]
const cases = all.map((sample) => [sample.title, sample] as const)

it('finds the samples', () => {
  expect(all.filter(({ title }) => title.startsWith('README.md')).length).toBeGreaterThanOrEqual(8)
})

describe('every sample', () => {
  let complaints: string[] = []
  beforeAll(async () => {
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    const config = join(directory, 'tsconfig.json')
    writeFileSync(config, JSON.stringify({ extends: join(ROOT, 'tsconfig.json'), include: ['*.ts'] }))
    const check = run(process.execPath, [tsc, '-p', config], { cwd: directory })
    const { stdout } = await check.catch((error: { stdout: string }) => error)
    complaints = stdout.split('\n')
  })

  it.each(cases)('%s type-checks', (_, { file }) => {
    const name = file.slice(directory.length + 1)
    expect(complaints.filter((line) => line.startsWith(name))).toEqual([])
  })

  it('imports nothing of the package but what is exported', () => {
    expect(complaints.filter((line) => line.includes('TS2307'))).toEqual([])
  })

  const toRun = cases.filter(([, { notRun }]) => notRun === undefined)

  it.each(toRun)('%s runs', async (_, { file }) => {
    await runSample(file, '')
  })
})

it('the first lines to the first span show it: a send, its task, and the line of the task', async () => {
  const first = all.find(({ text }) => text.includes("from 'taskspan/sdk'")) as Sample
  const { stdout, stderr } = await runSample(first.file, 'taskiq.render_clip')
  expect(stdout).toContain('"message":"task.succeeded"')
  expect(stderr).toMatch(/send render[\s\S]*taskiq\.render_clip/)
})

it('the sample with a server says where it listens', async () => {
  const served = all.find(({ title, text }) => title.startsWith('README') && text.includes('await serve(')) as Sample
  const { stdout } = await runSample(served.file, '/metrics')
  expect(stdout).toMatch(/"address":"(http:\/\/127\.0\.0\.1:\d+)"[\s\S]*\1\/metrics \/health \/ready/)
})

describe('every link', () => {
  it.each(documents())('of %s leads to a file', (document) => {
    const text = readFileSync(join(ROOT, document), 'utf8').replaceAll(/```[\s\S]*?```/g, '')
    const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
    const local = targets.filter((target) => !/^(https?:|mailto:|#)/.test(target))
    const broken = local.filter((target) => !existsSync(resolve(ROOT, dirname(document), target.split('#')[0] ?? '')))
    expect(broken).toEqual([])
  })
})

describe('the reference', () => {
  const reference = readFileSync(join(ROOT, 'docs/reference.md'), 'utf8')

  it('lists every metric, with its type and its labels, under the name that it has', () => {
    const section = /^## Metrics\n([\s\S]*?)^## /m.exec(reference)?.[1] ?? ''
    const rows = section.split('\n').filter((line) => line.startsWith('| `'))
    const listed = rows.flatMap((row) => {
      const [, names = '', types = '', labels = ''] = row.split('|')
      const written = [...names.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)
      const base = written[0]?.replace(/_[a-z]+(_timestamp_seconds|_seconds|_total)$/, '') ?? ''
      const full = written.map((name) => (name.startsWith('_') ? shared(written[0] ?? '', name, base) : name))
      const [kinds, sets] = [types, labels].map((cell) =>
        cell.split('·').map((set) => set.replaceAll(/[`\s]|\(.*?\)/g, '')),
      )
      const of = (all: string[] = [], at: number) => all[at] ?? all.at(-1) ?? ''
      return full.map((name, at) => [name, `${of(kinds, at)} ${of(sets, at)}`] as const)
    })
    const defined = new Map(METRICS.map(({ name, type, labels }) => [`taskiq_${name}`, `${type} ${labels.join(',')}`]))
    expect(listed.filter(([name]) => !defined.has(name))).toEqual([])
    expect([...defined.keys()].filter((name) => !listed.some(([row]) => row === name))).toEqual([])
    expect(listed.filter(([name, is]) => defined.get(name) !== is)).toEqual([])
  })

  it('lists every log line that is not about the ending of a task, step or pipeline', () => {
    const section = /^## Log lines\n([\s\S]*?)^## /m.exec(reference)?.[1] ?? ''
    expect(Object.values(LINE).filter((line) => !section.includes(`\`${line}\``))).toEqual([])
  })

  it('lists every option of telemetry()', async () => {
    const { telemetry } = await import('taskspan/telemetry')
    let known: string[] = []
    try {
      telemetry({ x: 1 } as never)
    } catch (error) {
      known = /Known: (.+?)\. /.exec(String(error))?.[1]?.split(', ') ?? []
    }
    const section = /^## Options of `telemetry\(\)`\n([\s\S]*?)^## /m.exec(reference)?.[1] ?? ''
    const listed = section
      .split('\n')
      .filter((line) => line.startsWith('| `'))
      .flatMap((line) => [...(line.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name = '']) => name))
    expect(listed.sort()).toEqual(known.sort())
  })
})

/** `_interval_seconds` beside `taskiq_cron_last_success_timestamp_seconds` is short for `taskiq_cron_interval_seconds`. */
function shared(first: string, short: string, base: string): string {
  const names = METRICS.map(({ name }) => `taskiq_${name}`)
  const stems = first.split('_').map((_, at, words) => words.slice(0, at + 1).join('_'))
  return names.find((name) => stems.some((stem) => stem + short === name)) ?? base + short
}

async function runSample(file: string, awaited: string): Promise<{ stdout: string; stderr: string }> {
  const tsx = join(ROOT, 'node_modules/tsx/dist/cli.mjs')
  const runner = join(ROOT, 'test/support/run-sample.ts')
  return run(process.execPath, [tsx, runner, file, awaited], {
    cwd: ROOT,
    env: { ...process.env, REDIS_URL: redisUrl(), AMQP_URL: await amqpUrl(), OTEL_EXPORTER_OTLP_ENDPOINT: '' },
    timeout: 28_000,
  })
}
