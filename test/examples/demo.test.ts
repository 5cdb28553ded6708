// `npm run demo` on no server, and on the user's own Redis and backend.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { amqpUrl } from '../support/rabbitmq.ts'
import { redisUrl } from '../support/redis.ts'

const root = resolve(import.meta.dirname, '../..')

interface Ran {
  readonly code: number
  /** What a terminal would show, without npm's own lines. */
  readonly screen: string
}

function demo(env: Record<string, string>, argument?: string, hears?: (screen: string, end: () => void) => void) {
  const { PATH = '', HOME = '' } = process.env
  return new Promise<Ran>((done) => {
    let screen = ''
    const main = join(root, 'examples/demo/main.ts')
    const call = argument === undefined ? [main] : [main, argument]
    const child = execFile(join(root, 'node_modules/.bin/tsx'), call, { cwd: root, env: { PATH, HOME, ...env } })
    child.stdout?.on('data', (text) => {
      screen += text
      hears?.(screen, () => child.kill('SIGINT'))
    })
    child.stderr?.on('data', (text) => (screen += text))
    child.on('close', (code) => done({ code: code ?? -1, screen }))
  })
}

/**
 * The blocks of the screen that are traces, as lines without bars and durations: stem, name and how it ended.
 */
function traces(screen: string): string[][] {
  const blocks = screen.split('\n\n').filter((block) => block.startsWith('trace '))
  return blocks
    .map((block) =>
      block
        .split('\n')
        .slice(2)
        .map((line) => line.replace(/ *[┄╺━╸]+ +[\d.]+ m?s */, ' ').trimEnd()),
    )
    .map(inOneOrder)
}

// Two steps that begin side by side, in the same ms or not, may stand in either order.
function inOneOrder(lines: string[]): string[] {
  const at = lines.findIndex((line) => line.endsWith('step.transcribe ✓'))
  const first = lines.findIndex((line) => line.endsWith('step.detect_faces ↻ retry'))
  return first < at && first >= 0 ? lines.toSpliced(at, 1).toSpliced(first, 0, String(lines[at])) : lines
}

const mail = ['      └─ send demo.mail ✓', '         └─ taskiq.mail_owner ✓']

function analysis(afterPipeline: string[]): string[] {
  const [branch, stem] = afterPipeline.length > 0 ? ['├─', '│ '] : ['└─', '  ']
  return [
    'POST /clips/:clip/analyse',
    '└─ send clips ✓',
    '   ├─ taskiq.analyse_clip ↻ retry 1/3',
    expect.stringContaining(`│  PipelineError: pipeline 'analysis': step 'render' failed on attempt 1: ffmpeg`),
    '   │  └─ analysis.pipeline ✗ failure',
    expect.stringContaining(`│  PipelineError: pipeline 'analysis': step 'render' failed on attempt 1: ffmpeg`),
    '   │     ├─ step.download ✓',
    '   │     ├─ step.transcribe ✓',
    '   │     ├─ step.detect_faces ↻ retry',
    '   │     │     ServiceBusy: vision has no GPU free',
    '   │     ├─ step.detect_faces ✓ #2',
    '   │     ├─ step.blur_faces · skipped',
    '   │     │     no faces',
    '   │     └─ step.render ✗ failure',
    '   │           EncoderCrash: ffmpeg was killed, out of memory',
    '   └─ taskiq.analyse_clip ✓ 2/3',
    `      ${branch} analysis.pipeline ✓`,
    `      ${stem} ├─ step.download · restored`,
    `      ${stem} ├─ step.transcribe · restored`,
    `      ${stem} ├─ step.detect_faces · restored`,
    `      ${stem} ├─ step.blur_faces · skipped`,
    `      ${stem} │     no faces`,
    `      ${stem} ├─ step.render ✓`,
    `      ${stem} └─ step.upload ✓`,
    ...afterPipeline,
  ]
}

/** What the demo shows; with RabbitMQ, the trace of the analysis goes on there. */
const story = (inRabbitMq: string[] = []): string[][] => [
  [
    'POST /clips/:clip/render',
    '└─ send clips ✓',
    '   └─ taskiq.render_clip ✓',
    '      └─ send api ✓',
    '         └─ taskiq.clip_ready ✓',
  ],
  analysis(inRabbitMq),
  [
    'POST /clips/:clip/transcribe',
    '└─ send clips ✓',
    '   ├─ taskiq.transcribe_clip ↻ retry 1/3',
    '   │     ServiceTimeout: whisper did not answer within 80 ms',
    '   └─ taskiq.transcribe_clip ✓ 2/3',
  ],
  [
    'POST /clips/:clip/publish',
    '└─ send clips ✓',
    '   ├─ taskiq.publish_clip ↻ retry 1/3',
    '   │     PublishError: clip 7 has no owner',
    '   ├─ taskiq.publish_clip ↻ retry 2/3',
    '   │     PublishError: clip 7 has no owner',
    '   └─ taskiq.publish_clip ✗ failure 3/3',
    '         PublishError: clip 7 has no owner',
  ],
  ['taskiq.expiry ✓'],
  ['taskiq.delete_expired_clips ✓', expect.stringMatching(/^ {3}↗ linked to taskiq.expiry in trace [0-9a-f]{32}$/)],
]

const idOf = (screen: string, pattern: RegExp): string | undefined => pattern.exec(screen)?.[1]

it('tells its story with no server at all, and ends by itself', { timeout: 90_000 }, async () => {
  const { code, screen } = await demo({})
  expect(screen).toContain('BullMQ on an embedded PostgreSQL')
  expect(traces(screen)).toEqual(story())
  expect(screen).not.toContain('\u001b')
  expect(screen).toMatch(/^critical path {2}render > upload: \d+ of \d+ ms$/m)
  expect(screen).toMatch(/^restored +download, transcribe, detect_faces, from a checkpoint in memory$/m)
  expect(screen).toMatch(/^skipped +blur_faces: no faces$/m)
  expect(screen).toContain('With RabbitMQ, this trace goes on there')
  expect(screen).toMatch(/^metrics, probes and a look inside: http:.*\/metrics \/health \/ready \/debug\/status$/m)
  expect(screen).toMatch(/^GET \/health {2}\{"status":"ok","uptime_s":\d+,"version":"1.0.0"\}$/m)
  expect(screen).toContain('GET /ready  {"status":"ok","checks":{"bullmq":"ok"},"version":"1.0.0"}')
  expect(screen).toMatch(/^GET \/debug\/queue {2}\{"queues":\[\{"queue":"clips","system":"bullmq"/m)
  expect(screen).not.toMatch(/warning|Error:(?! (whisper|clip|pipeline))/i)
  expect(code).toBe(0)
})

it('shows metrics and log lines that join its traces', { timeout: 90_000 }, async () => {
  const { screen } = await demo({ REDIS_URL: redisUrl(), AMQP_URL: await amqpUrl() })
  const [first, second, , fourth] = [...screen.matchAll(/^trace ([0-9a-f]{32})/gm)].map(([, id]) => id)
  expect(idOf(screen, /task_failures_total\{.*error_type="PublishError"\} 1 # \{trace_id="(\w+)"/)).toBe(fourth)
  expect(screen).toContain(
    'taskiq_tasks_total{queue="clips",task_name="delete_expired_clips",task_type="cron",outcome="success"} 1',
  )
  expect(screen).toContain('taskiq_steps_total{pipeline="analysis",step="transcribe",outcome="restored"} 1')
  const lines = screen.split('\n').flatMap((line) => (line.startsWith('{"level"') ? [JSON.parse(line)] : []))
  // Two tasks that run at the same time write in either order.
  const of = (task: string) => lines.filter((line) => line.task_name === task)
  expect(lines).toHaveLength(7)
  expect(of('render_clip')).toMatchObject([
    { message: 'rendered', request_id: 'r-1', trace_id: first },
    { message: 'task.succeeded', request_id: 'r-1', trace_id: first },
  ])
  expect(of('clip_ready')).toMatchObject([
    { message: 'clip is ready', request_id: 'r-1', trace_id: first },
    { message: 'task.succeeded', request_id: 'r-1', trace_id: first },
  ])
  expect(of('mail_owner')).toMatchObject([
    { message: 'mailed', request_id: 'r-2', trace_id: second },
    { message: 'task.succeeded', request_id: 'r-2', trace_id: second },
  ])
  expect(of('publish_clip')).toMatchObject([
    { message: 'task.failed', request_id: 'r-4', trace_id: fourth, attempt: 3, will_retry: false },
  ])
})

it('really uses the Redis, the RabbitMQ and the backend that it is given', { timeout: 90_000 }, async () => {
  const names: string[] = []
  const backend = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    names.push(...[...body.matchAll(/"name":"([^"]+)","kind"/g)].map(([, name]) => String(name)))
    response.end('{}')
  }).listen(0, '127.0.0.1')
  await once(backend, 'listening')
  onTestFinished(() => void backend.close().closeAllConnections())
  const { port } = backend.address() as AddressInfo

  const redis = new Redis(redisUrl())
  onTestFinished(() => redis.disconnect())
  const commands = async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0)
  const before = await commands()

  const endpoint = `http://127.0.0.1:${port}`
  const brokers = { REDIS_URL: redisUrl(), AMQP_URL: await amqpUrl() }
  const { code, screen } = await demo({ ...brokers, OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
  expect(screen).toContain('BullMQ on Redis at 127.0.0.1')
  expect(screen).toContain(`RabbitMQ at ${new URL(brokers.AMQP_URL).host}`)
  expect(screen).not.toContain(new URL(brokers.AMQP_URL).password)
  expect(traces(screen)).toEqual(story(mail))
  expect(await commands()).toBeGreaterThan(before)
  expect(names).toEqual(expect.arrayContaining(['taskiq.clip_ready', 'step.upload', 'taskiq.mail_owner']))
  expect(screen).toContain(`${names.length} spans went to ${endpoint}/v1/traces.`)
  expect(code).toBe(0)
})

it('stays to be looked at when it is asked to, until Ctrl-C', { timeout: 90_000 }, async () => {
  let answer: Promise<string> | undefined
  const { code, screen } = await demo({ REDIS_URL: redisUrl() }, '--stay', (shown, end) => {
    const [, address] = /It stays to be looked at: (http:.+?)\/debug/.exec(shown) ?? []
    if (address === undefined || answer !== undefined) return
    answer = fetch(`${address}/metrics`).then((response) => response.text())
    answer.finally(end)
  })
  expect(await answer).toContain('taskiq_queue_depth{queue="clips",state="waiting"} 0')
  expect(screen).toContain('GET /ready  {"status":"ok","checks":{"bullmq":"ok"}')
  expect(code).toBe(0)
})

it.each([
  ['Redis', 'REDIS_URL', 'redis:'],
  ['RabbitMQ', 'AMQP_URL', 'amqp:'],
])(
  'says in one sentence why it cannot start without the %s that it was given, and fails',
  {
    timeout: 90_000,
  },
  async (name, variable, protocol) => {
    const { code, screen } = await demo({ REDIS_URL: redisUrl(), [variable]: `${protocol}//127.0.0.1:1` })
    const sentence = `The demo failed: ${variable} is set, but ${name} at 127.0.0.1:1 does not answer `
    expect(screen.slice(screen.indexOf('The demo'))).toMatch(new RegExp(`^${sentence}.*\\n$`))
    expect(code).toBe(1)
  },
)
