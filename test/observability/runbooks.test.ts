// Runbooks: one for each alert, under a page, with queries that Prometheus takes and metrics that there are.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { promisify } from 'node:util'
import type { Job } from 'bullmq'
import { Registry } from 'prom-client'
import { reject } from 'taskspan'
import { bullmq } from 'taskspan/bullmq'
import { logger } from 'taskspan/logging'
import { telemetry } from 'taskspan/telemetry'
import { describe, expect, it, onTestFinished } from 'vitest'
import { program } from '../../scripts/brokers/install.ts'
import { promtool } from '../../scripts/prometheus/index.ts'
import { METRIC, WATCH_METRIC } from '../../src/kernel/names.ts'
import { ALERTS, type AlertName, runbookOf } from '../../src/observability/alerts.ts'
import { openQueue, openWorker, queueName } from '../support/bullmq.ts'
import { ROOT } from '../support/staged.ts'
import { RUNBOOKS, snippets, textOf } from './snippets.ts'

const alerts = Object.keys(ALERTS) as AlertName[]
const MORE = ['README.md', 'rejections.md']

it('there is one for each alert, and none without', () => {
  expect(readdirSync(join(ROOT, RUNBOOKS)).sort()).toEqual([...alerts.map(runbookOf), ...MORE].sort())
})

describe.each(alerts)('%s', (alert) => {
  const text = textOf(join(RUNBOOKS, runbookOf(alert)))

  it('says what it means, what to look at and what to do, and nothing else', () => {
    const headings = [...text.matchAll(/^##? (.+)$/gm)].map(([, heading]) => heading)
    expect(headings).toEqual([alert, 'What it means', 'What to look at', 'What to do'])
  })

  it('is under a page, and has a query', () => {
    expect(text.split('\n').length).toBeLessThan(60)
    expect(text).toMatch(/```(promql|logql|traceql)/)
  })

  it('is in the list of all', () => {
    expect(textOf(join(RUNBOOKS, 'README.md'))).toContain(`[${alert}](${runbookOf(alert)})`)
  })
})

describe('metrics', () => {
  const suffixes = { counter: [''], gauge: [''], histogram: ['_bucket', '_sum', '_count'] } as const
  const series = new Set(
    [...Object.values(METRIC), ...Object.values(WATCH_METRIC)].flatMap(({ name, type }) =>
      suffixes[type].map((suffix) => `taskiq_${name}${suffix}`),
    ),
  )

  it('that are named in a query exist', () => {
    const used = snippets('promql').flatMap(({ title, text }) =>
      [...text.matchAll(/\btaskiq_\w+/g)].map(([name]) => [title, name] as const),
    )
    expect(used.length).toBeGreaterThan(50)
    expect(used.filter(([, name]) => !series.has(name))).toEqual([])
  })

  it('that are named in the text exist', () => {
    const unknown = readdirSync(join(ROOT, RUNBOOKS)).flatMap((name) => {
      const text = textOf(join(RUNBOOKS, name))
      return [...text.matchAll(/`(taskiq_\w+)/g)]
        .filter(([, metric = '']) => !series.has(metric))
        .map(([, metric]) => metric)
    })
    expect(unknown).toEqual([])
  })

  it('have the labels that a query asks for', () => {
    const labels = new Map<string, readonly string[]>(
      [...Object.values(METRIC), ...Object.values(WATCH_METRIC)].map(({ name, labels: own }) => [name, own]),
    )
    const wrong = snippets('promql').flatMap(({ title, text }) =>
      [...text.matchAll(/\btaskiq_(\w+?)(?:_bucket|_sum|_count)?\{([^}]*)\}/g)].flatMap(([, name = '', inside = '']) =>
        [...inside.matchAll(/(\w+)(?:=~|!=|!~|=)"/g)]
          .filter(([, label = '']) => !labels.get(name)?.includes(label))
          .map(([, label]) => `${title}: ${name}{${label}}`),
      ),
    )
    expect(wrong).toEqual([])
  })
})

const run = promisify(execFile)

it('Prometheus takes each of their PromQL queries', async () => {
  const all = snippets('promql')
  expect(all.length).toBeGreaterThan(60)
  const rules = all.map(({ text }, at) => ({ record: `query:number:${at}`, expr: text }))
  const directory = await temporary()
  const file = join(directory, 'queries.yml')
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'runbooks', rules }] }))
  await run(await promtool(), ['check', 'rules', '--lint=none', file])
})

describe('the line that counts rejections by reason', () => {
  const lines = snippets('sh').filter(({ text }) => text.startsWith('jq '))

  it('is the same wherever it stands, and stands where it is needed', () => {
    expect([...new Set(lines.map(({ text }) => text))]).toHaveLength(1)
    const where = new Set(lines.map(({ document }) => document.slice(RUNBOOKS.length + 1)))
    const rejections: AlertName[] = ['MessagesMalformed', 'MessagesUnknownTask', 'MessagesExpired']
    expect([...where].sort()).toEqual(['rejections.md', ...rejections.map(runbookOf)].sort())
  })

  it("counts what a real worker's log says", async () => {
    await program({ debianPackage: 'jq', find: () => ['/usr/bin/jq', '/usr/local/bin/jq'].find(existsSync) })
    const directory = await temporary()
    const { destination, text } = lineFile(join(directory, 'render.log'))
    const instrument = bullmq(telemetry({ registry: new Registry(), logger: logger({}, destination) }))
    const queue = openQueue(queueName('render'))
    const reasons = ['malformed', 'expired', 'malformed', 'unknown_task', 'malformed', 'expired'] as const
    await queue.addBulk([
      ...reasons.map((reason) => ({ name: 'render', data: { reason } })),
      { name: 'render', data: {} },
    ])
    const worker = openWorker(
      queue.name,
      instrument(async ({ data }: Job) => {
        if (data.reason !== undefined) throw reject(data.reason, 'message.rejected in its text is not a message')
      }),
    )
    await once(worker, 'drained')
    await worker.close()
    text('not JSON, as some library prints it\n')

    const { stdout } = await run('sh', ['-c', String(lines[0]?.text)], { cwd: directory })
    expect(stdout.trim().split(/\s*\n\s*/)).toEqual(['3 malformed', '2 expired', '1 unknown_task'])
  })
})

it('each reason is said to be expected, drift or a fault', () => {
  const rows = [...textOf(join(RUNBOOKS, 'rejections.md')).matchAll(/^\| `(\w+)` \| \*\*(.+?)\*\* \|/gm)]
  const said = Object.fromEntries(rows.map(([, reason, what]) => [reason, what]))
  expect(said).toEqual({ malformed: 'a fault', unknown_task: 'drift', expired: 'expected', other: 'yours to say' })
})

/** A destination that leaves a file as a worker's stdout would. */
function lineFile(path: string): { destination: Writable; text(more: string): void } {
  const text = (more: string): void => appendFileSync(path, more)
  const destination = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      text(chunk)
      done()
    },
  })
  return { destination, text }
}

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'taskspan-runbooks-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  return directory
}
