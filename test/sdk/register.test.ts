// node --import taskspan/register, and start() without it: which calls make spans, in real processes with real packages.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { amqpUrl } from '../support/rabbitmq.ts'
import { bullmqPrefix, redisUrl } from '../support/redis.ts'
import { type Staged, stage } from '../support/staged.ts'
import { postgres } from './postgres.ts'
import { blackHole, type Receiver, receiver, text } from './receiver.ts'

let staged: Staged
beforeAll(async () => {
  staged = await stage()
})
afterAll(() => staged?.remove())

const NEEDED = ['@opentelemetry/api', 'pino', 'prom-client', 'croner', 'p-retry', '@opentelemetry/sdk-trace-node']
const OTEL = ['exporter-trace-otlp-http', 'instrumentation-http', 'instrumentation-undici'].map(
  (name) => `@opentelemetry/${name}`,
)

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** An application in a project of its own that has these packages, and what it says until it ends. */
async function run(
  code: string,
  env: Record<string, string>,
  { packages = [] as string[], preload = '--import', file = 'app.mjs' } = {},
): Promise<Ended> {
  const project = await staged.project([...NEEDED, ...OTEL, ...packages])
  await writeFile(join(project, 'package.json'), '{"type":"module"}')
  await writeFile(join(project, file), code)
  const kept = Object.entries(process.env).filter(([name]) => !/^(OTEL_|TASKSPAN_|VITEST|NODE_OPTIONS)/.test(name))
  const started = spawn(
    process.execPath,
    [...(preload === '' ? [] : [preload, 'taskspan/register']), join(project, file)],
    {
      cwd: project,
      env: { ...Object.fromEntries(kept), ...env },
    },
  )
  onTestFinished(() => void started.kill('SIGKILL'))
  let stdout = ''
  let stderr = ''
  started.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  started.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [exit] = await once(started, 'close')
  return { code: exit, stdout, stderr }
}

async function backend(): Promise<Receiver> {
  const open = await receiver()
  onTestFinished(open.close)
  return open
}

const named = (to: Receiver, worker = 'render'): Record<string, string> => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: to.url,
  TASKSPAN_APP: 'shop',
  TASKSPAN_WORKER: worker,
})

/** Each span as `parent > name`. */
function outline(from: Receiver): string[] {
  const spans = from.spans()
  const nameOf = (id: string | undefined) => spans.find(({ spanId }) => spanId === id)?.name
  return spans.map(({ name, parentSpanId }) => [nameOf(parentSpanId), name].filter(Boolean).join(' > ')).sort()
}

/** A task, run as an adapter would run it; and a server of its own to be called. */
const TASK = `
  import { consumer } from 'taskspan'
  import { telemetry } from 'taskspan/telemetry'
  import { start } from 'taskspan/sdk'
  const sdk = start()
  const consume = consumer({ system: 'memory', read: (name) => ({ name, queue: 'q' }) }, telemetry({ logging: false }))
  const server = createServer((request, response) => response.end('ok')).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.on('listening', resolve))
  const url = 'http://127.0.0.1:' + server.address().port
  const task = (handler) => consume('render_clip', handler)
  const end = async () => {
    server.closeAllConnections()
    server.close()
    await sdk.close()
    console.log(JSON.stringify(sdk.status()))
  }
`

describe('under node --import taskspan/register', { timeout: 60_000 }, () => {
  it('a worker’s HTTP calls are spans inside its task, its server makes none, and start() takes over', async () => {
    const to = await backend()
    const { stdout, stderr } = await run(
      `import http, { createServer, get } from 'node:http'
       ${TASK}
       const called = (call) => new Promise((resolve) => call((response) => response.resume().on('end', resolve)))
       await task(async () => {
         await (await fetch(url + '/clips?token=secret')).text()
         await called((done) => http.get(url + '/by-default?token=secret', done))
         await called((done) => get(url + '/by-name', done))
       })
       await (await fetch(url + '/outside')).text()
       await end()`,
      named(to),
    )
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({ state: 'closed', service: 'shop-render', problems: [] })
    expect(outline(to)).toEqual(['taskiq.render_clip', ...Array(3).fill('taskiq.render_clip > GET')])
    expect(new Set(to.services())).toEqual(new Set(['shop-render']))
    const urls = to.spans().flatMap(({ attributes }) => text(attributes, 'url.full') ?? [])
    expect(urls.map((url) => new URL(url).pathname + new URL(url).search).sort()).toEqual([
      '/by-default?token=REDACTED',
      '/by-name',
      '/clips?token=REDACTED',
    ])
    expect(JSON.stringify(to.requests.map(({ body }) => body.toString()))).not.toContain('secret')
  })

  it('so are those of a BullMQ worker, and its own calls of Redis are not', async () => {
    const to = await backend()
    const { stderr } = await run(
      `import { createServer } from 'node:http'
       import { Queue, Worker } from 'bullmq'
       import { bullmq, propagation } from 'taskspan/bullmq'
       ${TASK}
       const options = { connection: { url: ${JSON.stringify(redisUrl())} }, prefix: ${JSON.stringify(bullmqPrefix())} }
       const queue = new Queue('render', { ...options, telemetry: propagation() })
       const handler = bullmq(telemetry({ logging: false }))(async () => (await fetch(url)).status)
       const worker = new Worker('render', handler, options)
       const done = new Promise((resolve) => worker.on('completed', resolve))
       await queue.add('render_clip', {})
       await done
       await worker.close()
       await queue.close()
       await end()`,
      named(to),
      { packages: ['bullmq', 'ioredis', '@opentelemetry/instrumentation-ioredis'] },
    )
    expect(stderr).toBe('')
    expect(outline(to)).toEqual(['send render', 'send render > taskiq.render_clip', 'taskiq.render_clip > GET'])
  })

  it('an API’s requests are spans, and what they call is inside', async () => {
    const to = await backend()
    const code = `import { createServer } from 'node:http'
       ${TASK}
       const api = createServer(async (request, response) => response.end(await (await fetch(url)).text()))
       await new Promise((resolve) => api.listen(0, '127.0.0.1', resolve))
       await (await fetch('http://127.0.0.1:' + api.address().port + '/clips/7?token=secret')).text()
       api.closeAllConnections()
       api.close()
       await end()`
    await run(code, named(to, 'api'))
    expect(new Set(to.services())).toEqual(new Set(['shop-api']))
    // What the request calls is a server here too.
    expect(outline(to)).toEqual(['GET', 'GET > GET', 'GET > GET'])
    expect(JSON.stringify(to.requests.map(({ body }) => body.toString()))).not.toContain('secret')

    const off = await backend()
    await run(code, { ...named(off, 'api'), TASKSPAN_INSTRUMENT_HTTP_SERVER: 'false' })
    expect(off.requests).toEqual([])
    const worker = await backend()
    await run(code, { ...named(worker), TASKSPAN_INSTRUMENT_HTTP_SERVER_WORKERS: 'true' })
    expect(outline(worker)).toEqual(['GET', 'GET > GET', 'GET > GET'])
  })

  it('a scrape of an API’s own server is no span, and neither is what it asks', async () => {
    const to = await backend()
    const { stdout } = await run(
      `import { createServer } from 'node:http'
       import { handler } from 'taskspan/server'
       ${TASK}
       const checks = { clips: async () => (await fetch(url)).ok }
       const observe = handler({ telemetry: telemetry({ logging: false }), sdk, checks })
       const api = createServer((request, response) => observe(request, response, () => response.end('mine')))
       await new Promise((resolve) => api.listen(0, '127.0.0.1', resolve))
       for (const path of ['/metrics', '/ready', '/clips']) {
         console.log((await fetch('http://127.0.0.1:' + api.address().port + path)).status)
       }
       api.closeAllConnections()
       api.close()
       observe.close()
       await end()`,
      { ...named(to, 'api'), TASKSPAN_INSTRUMENT_HTTP_SERVER: 'true' },
    )
    expect(stdout).toMatch(/^200\n200\n200\n/)
    const paths = to.spans().map(({ attributes }) => text(attributes, 'url.path'))
    // What /ready asks is another server of this process; it is called without a trace, and begins one.
    expect(paths.sort()).toEqual(['/', '/clips'])
  })

  it('SQL calls are spans with their statement, without its values', async () => {
    const [to, database] = [await backend(), await postgres()]
    onTestFinished(database.close)
    const code = (library: string, tricky: string[]) => `import { createServer } from 'node:http'
       ${library}
       const TRICKY = ${JSON.stringify(tricky)}
       ${TASK}
       const client = await open()
       await client.query('select 1') // outside of any task
       await task(async () => {
         await client.query("select name from users where email = 'ann@example.org' and age > 41")
         await client.query(PLACEHOLDERS, ['ben@example.org'])
         for (const statement of TRICKY) await client.query(statement)
       })
       await client.end()
       await end()`
    const TRICKY = [
      `select "it's" from t where a = 'secret''s' and b = 0x1f -- secret`,
      String.raw`select name from t where path = 'C:\' and b = 'secret'`,
      'select $tag$ secret $tag$, $1 from t4 /* secret */',
    ]
    const pg = `import pg from 'pg'
       const PLACEHOLDERS = 'delete from users where email = $1'
       const open = async () => { const client = new pg.Client(${JSON.stringify(database.url)}); await client.connect(); return client }`
    const { stdout, stderr } = await run(code(pg, TRICKY), named(to), {
      packages: ['pg', '@opentelemetry/instrumentation-pg'],
    })
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toMatchObject({ problems: [] })
    const statements = (from: Receiver) =>
      from.spans().flatMap(({ attributes }) => text(attributes, 'db.query.text') ?? [])
    expect(statements(to).sort()).toEqual([
      'delete from users where email = $1',
      'select "it\'s" from t where a = ? and b = ? ',
      'select ?, $1 from t4 ',
      'select name from t where path = ?',
      'select name from users where email = ? and age > ?',
    ])
    expect(outline(to)).toContain('taskiq.render_clip > pg.query:SELECT shop')

    const mysql = await backend()
    const MYSQL = `import mysql from 'mysql2'
       import { createConnection } from 'mysql2/promise'
       const PLACEHOLDERS = 'delete from users where email = ?'
       const database = mysql.createServer((connection) => {
         connection.serverHandshake({ protocolVersion: 10, serverVersion: '8.0.0', connectionId: 1, statusFlags: 2, characterSet: 8, capabilityFlags: 0xffffff })
         connection.on('query', () => connection.writeOk({ affectedRows: 0 }))
         connection.on('error', () => {})
       })
       await new Promise((resolve) => database.listen(0, '127.0.0.1', resolve))
       const open = async () => {
         const client = await createConnection({ host: '127.0.0.1', port: database._server.address().port, user: 'shop' })
         return { query: (...args) => client.query(...args), end: async () => { client.destroy(); database.close() } }
       }`
    const ended = await run(code(MYSQL, ['select `a` from t where b = "secret" and c = 1.5']), named(mysql), {
      packages: ['mysql2', '@opentelemetry/instrumentation-mysql2'],
    })
    expect(ended.stderr).not.toContain('taskspan') // its stand-in of a server has something to say of its own
    expect(statements(mysql).sort()).toEqual([
      'delete from users where email = ?',
      'select `a` from t where b = ? and c = ?',
      'select name from users where email = ? and age > ?',
    ])
    const sent = JSON.stringify([...to.requests, ...mysql.requests].map(({ body }) => body.toString()))
    expect(sent).not.toMatch(/example\.org|hunter2|secret/)
  })

  it('GENAI calls are spans with model and tokens, and never with prompts or answers', async () => {
    const to = await backend()
    const { stdout, stderr } = await run(
      `import { createServer } from 'node:http'
       import OpenAI from 'openai'
       import { createRequire } from 'node:module'
       const { logs } = createRequire(import.meta.url)('@opentelemetry/api-logs') // as the instrumentation has it
       // The application's own, to which prompts would go as events.
       logs.setGlobalLoggerProvider({ getLogger: () => ({ emit: ({ attributes, body }) => console.log(JSON.stringify([attributes, body])), enabled: () => true }) })
       ${TASK}
       server.removeAllListeners('request').on('request', (request, response) => {
         response.setHeader('content-type', 'application/json').end(JSON.stringify({
           id: 'c1', object: 'chat.completion', model: 'gpt-x-2026', usage: { prompt_tokens: 11, completion_tokens: 7 },
           choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'the secret answer' } }],
         }))
       })
       const client = new OpenAI({ apiKey: 'sk-secret', baseURL: url + '/v1' })
       await task(() => client.chat.completions.create({ model: 'gpt-x', messages: [{ role: 'user', content: 'a secret question' }] }))
       await end()`,
      // The instrumentation's own way to ask for them; the logs that they would be in are sent too.
      { ...named(to), OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: 'true', OTEL_LOGS_EXPORTER: 'otlp' },
      {
        packages: [
          ...['openai', '@opentelemetry/instrumentation-openai', '@opentelemetry/api-logs'],
          ...['@opentelemetry/sdk-logs', '@opentelemetry/exporter-logs-otlp-http'],
        ],
      },
    )
    expect(stderr).toBe('')
    expect(stdout).toMatch(/gen_ai\.user\.message[\s\S]*"problems":\[\]/)
    expect(stdout).not.toContain('secret')
    expect(outline(to)).toEqual(['chat gpt-x > POST', 'taskiq.render_clip', 'taskiq.render_clip > chat gpt-x'])
    const body = JSON.stringify(to.requests.map((request) => request.body.toString()))
    expect(body).toContain('gen_ai.usage.input_tokens')
    expect(body).not.toContain('secret')
  })

  it('Redis calls are spans only when asked, by the name of the command', async () => {
    const packages = ['ioredis', '@opentelemetry/instrumentation-ioredis']
    const code = `import { createServer } from 'node:http'
       import { Redis } from 'ioredis'
       ${TASK}
       const redis = new Redis(${JSON.stringify(redisUrl())})
       await task(() => redis.get('user:ann'))
       redis.disconnect()
       await end()`
    const [silent, asked, workers] = [await backend(), await backend(), await backend()]
    await run(code, named(silent), { packages })
    expect(outline(silent)).toEqual(['taskiq.render_clip'])
    await run(code, { ...named(asked), TASKSPAN_INSTRUMENT_REDIS: 'true' }, { packages })
    expect(outline(asked)).toEqual(['taskiq.render_clip', 'taskiq.render_clip > get'])
    expect(JSON.stringify(asked.requests.map(({ body }) => body.toString()))).not.toContain('user:ann')
    const env = { TASKSPAN_INSTRUMENT_REDIS: 'true', TASKSPAN_INSTRUMENT_REDIS_WORKERS: 'false' }
    await run(code, { ...named(workers), ...env }, { packages })
    expect(outline(workers)).toEqual(['taskiq.render_clip'])
  })

  it('so are those of the package redis', async () => {
    const packages = ['redis', '@opentelemetry/instrumentation-redis']
    const code = `import { createServer } from 'node:http'
       import { createClient } from 'redis'
       ${TASK}
       const redis = await createClient({ url: ${JSON.stringify(redisUrl())} }).connect()
       await task(async () => {
         await redis.get('user:ann')
         await redis.multi().set('user:ann', 'secret', { EX: 1 }).get('user:ann').exec()
       })
       redis.destroy()
       await end()`
    const [silent, asked] = [await backend(), await backend()]
    expect((await run(code, named(silent), { packages })).stderr).toBe('')
    expect(outline(silent)).toEqual(['taskiq.render_clip'])
    expect((await run(code, { ...named(asked), TASKSPAN_INSTRUMENT_REDIS: 'true' }, { packages })).stderr).toBe('')
    const calls = outline(asked).filter((line) => line !== 'taskiq.render_clip')
    expect(calls.length).toBeGreaterThanOrEqual(3)
    for (const call of calls) expect(call).toMatch(/^taskiq\.render_clip > (redis-)?(GET|SET|MULTI)$/i)
    expect(JSON.stringify(asked.requests.map(({ body }) => body.toString()))).not.toMatch(/user:ann|secret/)
  })

  it('AMQP calls are spans when asked, beside those of taskspan/amqp', async () => {
    const packages = ['amqplib', '@opentelemetry/instrumentation-amqplib']
    const code = `import { createServer } from 'node:http'
       import { connect } from 'amqplib'
       import { amqp, inject } from 'taskspan/amqp'
       ${TASK}
       const { consume: take } = amqp(telemetry({ logging: false }))
       const connection = await connect(${JSON.stringify(await amqpUrl())})
       const channel = await connection.createChannel()
       const { queue } = await channel.assertQueue('', { exclusive: true })
       const done = new Promise((resolve) => take(channel, queue, () => resolve(), { name: 'save_order' }))
       await task(() => void channel.sendToQueue(queue, Buffer.from('secret'), inject({})))
       await done
       await channel.close()
       await connection.close()
       await end()`
    const [silent, asked] = [await backend(), await backend()]
    expect((await run(code, named(silent), { packages })).stderr).toBe('')
    expect(outline(silent)).toEqual(['taskiq.render_clip', 'taskiq.render_clip > taskiq.save_order'])
    expect((await run(code, { ...named(asked), TASKSPAN_INSTRUMENT_AMQP: 'true' }, { packages })).stderr).toBe('')
    expect(outline(asked).map((line) => line.replace(/amq\.gen-\S+/, '(anonymous)'))).toEqual([
      'publish <default> > (anonymous) process',
      'publish <default> > taskiq.save_order',
      'taskiq.render_clip',
      'taskiq.render_clip > publish <default>',
    ])
    expect(JSON.stringify(asked.requests.map(({ body }) => body.toString()))).not.toContain('secret')
  })

  it.each(['--import', '--require'])('instruments CommonJS as well, with %s', async (preload) => {
    const to = await backend()
    const { stderr } = await run(
      `const { createServer, get } = require('node:http')
       const { Redis } = require('ioredis')
       const { consumer } = require('taskspan')
       const { telemetry } = require('taskspan/telemetry')
       const { start } = require('taskspan/sdk')
       const sdk = start()
       const consume = consumer({ system: 'memory', read: (name) => ({ name, queue: 'q' }) }, telemetry({ logging: false }))
       const redis = new Redis(${JSON.stringify(redisUrl())})
       const server = createServer((request, response) => response.end('ok')).listen(0, '127.0.0.1', async () => {
         await consume('render_clip', async () => {
           await redis.get('a')
           await new Promise((resolve) => get({ port: server.address().port }, (response) => response.resume().on('end', resolve)))
         })
         redis.disconnect()
         server.close()
         sdk.close()
       })`,
      { ...named(to), TASKSPAN_INSTRUMENT_REDIS: 'true' },
      { packages: ['ioredis', '@opentelemetry/instrumentation-ioredis'], file: 'app.cjs', preload },
    )
    expect(stderr.replace(/.*ExperimentalWarning.*\n.*\n/, '')).toBe('')
    expect(outline(to)).toEqual(['taskiq.render_clip', 'taskiq.render_clip > GET', 'taskiq.render_clip > get'])
  })

  it('needs no start() in the application', async () => {
    const to = await backend()
    const code = `import { trace } from '@opentelemetry/api'
       const span = (name) => trace.getTracer('app').startSpan(name).end()
       process.once('beforeExit', () => setTimeout(span, 100, 'two'))
       span('one')`
    const { stderr, code: exit } = await run(code, named(to))
    expect({ stderr, exit }).toEqual({ stderr: '', exit: 0 })
    expect(outline(to)).toEqual(['one', 'two'])
    expect(to.services()).toEqual(['shop-render', 'shop-render'])

    const hole = await blackHole()
    onTestFinished(hole.close)
    const { stderr: said, code: end } = await run(code, { ...named(to), OTEL_EXPORTER_OTLP_ENDPOINT: hole.url })
    expect(end).toBe(0)
    expect(said).toContain('not everything was sent within 5000 ms')
  })

  it('without a name it waits for start(), which has one; and says what to set where nobody calls it', async () => {
    const to = await backend()
    const packages = ['ioredis', '@opentelemetry/instrumentation-ioredis']
    const code = (options: string) => `import { createServer } from 'node:http'
       import { Redis } from 'ioredis'
       ${TASK.replace('start()', `start(${options})`)}
       const redis = new Redis(${JSON.stringify(redisUrl())})
       await task(async () => { await redis.get('a'); await fetch(url) })
       redis.disconnect()
       await end()`
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: to.url, TASKSPAN_INSTRUMENT_REDIS_WORKERS: 'true' }
    const { stderr } = await run(code("{ app: 'shop', worker: 'render', version: '7' }"), env, { packages })
    expect(stderr).toBe('')
    expect(outline(to)).toEqual(['taskiq.render_clip', 'taskiq.render_clip > GET', 'taskiq.render_clip > get'])

    // An API, after all: its server is seen, and what only workers asked for is not.
    const api = await backend()
    await run(code("{ app: 'shop', worker: 'api' }"), { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: api.url }, { packages })
    expect(outline(api)).toEqual(['GET > GET', 'taskiq.render_clip', 'taskiq.render_clip > GET'])

    const nobody = await run("console.log('ran')", {})
    expect(nobody).toMatchObject({ code: 0, stdout: 'ran\n' })
    expect(nobody.stderr).toContain(
      'taskspan/register sends nothing before start() is called: set TASKSPAN_APP and TASKSPAN_WORKER',
    )
  })

  it('names what start() says otherwise', async () => {
    const to = await backend()
    const code = `import { createServer } from 'node:http'\n${TASK.replace('start()', "start({ worker: 'mail' })")} await end()`
    const { stdout, stderr } = await run(code, named(to))
    expect(stderr).toContain('service.name is "shop-render", not "shop-mail"')
    expect(JSON.parse(stdout)).toMatchObject({ service: 'shop-render' })
  })

  it('does nothing with OTEL_SDK_DISABLED', async () => {
    const to = await backend()
    const code = `import http, { createServer } from 'node:http'
       const { get } = http
       ${TASK}
       await task(() => fetch(url))
       console.log(get.name)
       await end()`
    const { stdout } = await run(code, { ...named(to), OTEL_SDK_DISABLED: 'true' })
    expect(stdout).toMatch(/^get\n.*"problems":\[\]/)
    expect(to.requests).toEqual([])
  })
})

describe('what is missing or wrong', { timeout: 60_000 }, () => {
  const code = `import { createServer } from 'node:http'\n${TASK} await end()`
  const problems = (ended: Ended): unknown => (JSON.parse(ended.stdout) as { problems: unknown }).problems

  it('a missing package is named once where its library is installed, with its install command', async () => {
    const to = await backend()
    const ended = await run(code, named(to), { packages: ['pg', 'ioredis'] })
    expect(ended.code).toBe(0)
    expect(problems(ended)).toEqual([
      'calls of pg make no spans: @opentelemetry/instrumentation-pg is not installed: npm install @opentelemetry/instrumentation-pg, or set TASKSPAN_INSTRUMENT_SQL=false',
    ])
    expect(ended.stderr.match(/instrumentation-pg is not installed/g)).toHaveLength(1)
    expect(problems(await run(code, { ...named(to), TASKSPAN_INSTRUMENT_SQL: 'false' }, { packages: ['pg'] }))).toEqual(
      [],
    )
    // Redis is off, so that ioredis misses nothing until it is asked for.
    const asked = { ...named(to), TASKSPAN_INSTRUMENT_REDIS: '1' }
    expect(problems(await run(code, asked, { packages: ['ioredis'] }))).toEqual([
      expect.stringContaining('npm install @opentelemetry/instrumentation-ioredis'),
    ])
  })

  it('so are those that log lines are sent with, when they are asked for', async () => {
    const env = { ...named(await backend()), OTEL_LOGS_EXPORTER: 'otlp' }
    const missing = (name: string) => [`no log lines are sent: ${name} is not installed: npm install ${name}`]
    expect(problems(await run(code, env))).toEqual(missing('@opentelemetry/sdk-logs'))
    const packages = ['@opentelemetry/sdk-logs']
    expect(problems(await run(code, env, { packages }))).toEqual(missing('@opentelemetry/exporter-logs-otlp-http'))
  })

  it('a switch that there is not, and a value that is none, are named', async () => {
    const env = { TASKSPAN_INSTRUMENT_HTTP: 'false', TASKSPAN_INSTRUMENT_SQL_WORKERS: 'maybe' }
    expect(problems(await run(code, { ...named(await backend()), ...env }))).toEqual([
      expect.stringMatching(/^TASKSPAN_INSTRUMENT_HTTP switches nothing: there are TASKSPAN_INSTRUMENT_HTTP_CLIENT, /),
      "TASKSPAN_INSTRUMENT_SQL_WORKERS must be true or false, got 'maybe'; it counts as not set",
    ])
  })
})

describe('start() alone', { timeout: 60_000 }, () => {
  const named_ = { TASKSPAN_APP: 'shop', TASKSPAN_WORKER: 'render' }
  const problems = (ended: Ended): unknown => (JSON.parse(ended.stdout) as { problems: unknown }).problems
  const LIBRARIES = ['pg', 'openai'].flatMap((name) => [name, `@opentelemetry/instrumentation-${name}`])

  it('sees Node’s own HTTP, however it was imported', async () => {
    const to = await backend()
    const { stdout } = await run(
      `import { createServer, get } from 'node:http'
       ${TASK}
       await task(() => new Promise((resolve) => get(url, (response) => response.resume().on('end', resolve))))
       await end()
       console.log(get.toString().includes('outgoing'))`,
      named(to),
      { preload: '' },
    )
    expect(outline(to)).toEqual(['taskiq.render_clip', 'taskiq.render_clip > GET'])
    expect(stdout).toMatch(/"problems":\[\].*\nfalse\n$/) // and gives it back
  })

  it('names the modules that were loaded before it, of either kind, and the way to do it', async () => {
    const loaded = (imports: string) =>
      run(`import { createServer } from 'node:http'\n${imports}\n${TASK} await end()`, named_, {
        packages: LIBRARIES,
        preload: '',
      })
    expect(problems(await loaded("import 'pg'; import 'openai'"))).toEqual([
      'loaded before start(), so that their calls make no spans: pg, openai; run node --import taskspan/register',
    ])
    expect(problems(await loaded("import 'openai'"))).toEqual([expect.stringContaining('spans: openai; run')])
    // Installed, but not used in this process: nothing to say.
    expect(problems(await loaded(''))).toEqual([])
  })

  it('instruments what a CommonJS application requires after it', async () => {
    const [to, database] = [await backend(), await postgres()]
    onTestFinished(database.close)
    const { stderr } = await run(
      `const { start } = require('taskspan/sdk')
       const sdk = start()
       const { trace } = require('@opentelemetry/api')
       const { Client } = require('pg')
       trace.getTracer('app').startActiveSpan('one', async (span) => {
         const client = new Client(${JSON.stringify(database.url)})
         await client.connect()
         await client.query('select 1')
         await client.end()
         span.end()
         await sdk.close()
       })`,
      named(to),
      { packages: LIBRARIES, preload: '', file: 'app.cjs' },
    )
    expect(stderr.replace(/.*ExperimentalWarning.*\n.*\n/, '')).toBe('')
    expect(outline(to)).toEqual(['one', 'one > pg.query:SELECT shop'])
  })
})
