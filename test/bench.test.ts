// The benchmarks still run: every contender of every part, briefly, on the package as it is built. No times are judged.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { amqpUrl } from './support/rabbitmq.ts'
import { redisUrl } from './support/redis.ts'
import { evaluate, run, type Staged, stage } from './support/staged.ts'

interface Row {
  readonly what: string
  readonly value: number
  readonly note?: string
}
type Results = Readonly<Record<string, { readonly title: string; readonly rows: readonly Row[] }>>

const PARTS = ['amqp', 'bullmq', 'growth', 'idle', 'import', 'pipeline', 'scrape', 'task']

let staged: Staged
let results: Results
beforeAll(async () => {
  staged = await stage()
  const file = join(staged.directory, 'results.json')
  const environment = { ...process.env, REDIS_URL: redisUrl(), AMQP_URL: await amqpUrl() }
  const script = join(staged.directory, 'bench/run.mjs')
  await run(process.execPath, [script, '--smoke', '--json', file], { cwd: staged.directory, env: environment })
  results = JSON.parse(await readFile(file, 'utf8')) as Results
}, 240_000)
afterAll(() => staged?.remove())

it('measures every part', () => {
  expect(Object.keys(results).sort()).toEqual(PARTS)
})

it.each(PARTS)('%s says a number of everything', (part) => {
  const rows = results[part]?.rows ?? []
  expect(rows.length).toBeGreaterThan(1)
  expect(rows.filter(({ value }) => !Number.isFinite(value)).map(({ what }) => what)).toEqual([])
})

it('lets each contender make the spans that it is said to make', () => {
  const spans = (part: string) => Object.fromEntries((results[part]?.rows ?? []).map(({ what, note }) => [what, note]))
  expect(spans('bullmq')).toMatchObject({
    'consumer: bare': '0.0 spans per job',
    'consumer: taskspan, everything': '1.0 spans per job',
    'with the sender: taskspan, send spans too': '2.0 spans per job',
  })
  expect(spans('amqp')).toMatchObject({
    'consumer: taskspan, everything': '1.0 spans per message',
    'with the publisher: instrumentation-amqplib': '2.0 spans per message',
    'with the publisher: taskspan, send spans too': '2.0 spans per message',
  })
})

// A loop that says less than ours would be cheaper for that alone.
it("has the spans of the pipelines' contenders say the same", async () => {
  const told = (name: string) =>
    evaluate<unknown[]>(
      staged.directory,
      `
      import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
      const spans = new InMemorySpanExporter()
      new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }).register()
      const { graph } = await import('./bench/pipeline/graphs.mjs')
      const { prepare } = await import('./bench/pipeline/${name}.mjs')
      await (await prepare(graph('layered', 200), {}))()
      const said = ({ name, kind, attributes, links, parentSpanContext }) =>
        [name, kind, Object.keys(attributes).sort(), links.length, parentSpanContext !== undefined]
      console.log(JSON.stringify(spans.getFinishedSpans().map(said).sort(([one], [other]) => (one < other ? -1 : 1))))`,
    )
  const [ours, byHand, pGraph] = [await told('ours'), await told('hand'), await told('p-graph')]
  expect(ours).toHaveLength(201)
  expect(byHand).toEqual(ours)
  expect(pGraph).toEqual(ours)
})

it('finds in the results that are kept all that the table and the picture show', async () => {
  const { stdout } = await run(process.execPath, [join(staged.directory, 'bench/run.mjs'), '--draw'], {
    cwd: staged.directory,
  })
  expect(stdout).toBe('')
  for (const file of ['README.md', 'docs/benchmarks.md', 'docs/images/bench.svg']) {
    const [drawn, kept] = await Promise.all(
      [staged.directory, join(import.meta.dirname, '..')].map((root) => readFile(join(root, file), 'utf8')),
    )
    expect(drawn, `${file}: npm run bench -- --draw`).toBe(kept)
  }
})
