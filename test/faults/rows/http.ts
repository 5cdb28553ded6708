// Row: HTTP. Whoever asks, and however: answered or cut off within bounds, while others are served.
import { once } from 'node:events'
import type { RawSocket } from '../../server/raw.ts'
import { FOREIGN_HOSTS, GET, HOST, MALFORMED, PATH_TRICKS, wrongAuthorizations } from '../../server/requests.ts'
import { holds, same } from '../cases/expect.ts'
import { halfRequest, type Serving, serving, TOKEN } from '../cases/serving.ts'
import type { Bench, Case, Fault, Form } from '../fault.ts'

/** Serves others, and soon. */
async function serves(served: Serving): Promise<void> {
  const began = performance.now()
  same('/health, afterwards', await served.status('GET', '/health'), 200)
  same('/metrics, afterwards', await served.status('GET', '/metrics'), 200)
  const tookMs = performance.now() - began
  holds(`both took ${Math.round(tookMs)} ms`, tookMs < 3_000)
}

const malformed = MALFORMED.map(([title, bytes, status]): Case => {
  return {
    title,
    async run(bench) {
      const served = await serving(bench)
      const answer = await served.send(bytes)
      same('the answer', /^HTTP\/1\.1 (\d+) /.exec(answer)?.[1], status)
      await serves(served)
    },
  }
})

const tricks = PATH_TRICKS.map((path): Case => {
  return {
    title: `the path ${path}`,
    async run(bench) {
      const served = await serving(bench)
      const answer = await served.send(GET(path))
      holds(`it answers ${answer.slice(0, 60)}`, /^HTTP\/1\.1 40[04] /.test(answer))
    },
  }
})

const methods = ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND'].map((method): Case => {
  return {
    title: `the method ${method}`,
    async run(bench) {
      const served = await serving(bench)
      for (const path of ['/metrics', '/health', '/ready']) same(path, await served.status(method, path), 405)
      await serves(served)
    },
  }
})

const hosts = FOREIGN_HOSTS.map((host): Case => {
  return {
    title: `the Host ${host}`,
    async run(bench) {
      const served = await serving(bench)
      const authorization = `Bearer ${TOKEN}`
      same('/debug/status', await served.status('GET', '/debug/status', { Host: host, authorization }), 403)
    },
  }
})

const tokens = wrongAuthorizations(TOKEN).map((authorization): Case => {
  return {
    title: authorization === undefined ? 'no token, beyond loopback' : `the token '${authorization}', beyond loopback`,
    async run(bench) {
      const served = await serving(bench, { host: '0.0.0.0' })
      for (const path of ['/debug/status', '/debug/config', '/debug/traces', '/debug/nothing', '/debug/../debug'])
        same(path, await served.status('GET', path, { authorization }), 401)
    },
  }
})

async function manyOf(served: Serving, count: number, bytes: string | undefined): Promise<RawSocket[]> {
  const sockets: RawSocket[] = []
  for (let n = 0; n < count; n++) {
    const raw = await served.open()
    if (bytes !== undefined) raw.socket.write(bytes)
    sockets.push(raw)
  }
  return sockets
}

const open = (sockets: readonly RawSocket[]): number => sockets.filter(({ socket }) => !socket.destroyed).length

/** Hundreds that hold their connections: others are served, at most 100 are kept, and in the long form none for good. */
const holding = (title: string, bytes: string | undefined, drip?: string): Case => ({
  title: `400 ${title}`,
  patienceMs: 40_000,
  async run(bench) {
    const served = await serving(bench)
    const sockets = await manyOf(served, 400, bytes)
    const dripping =
      drip && setInterval(() => sockets.forEach(({ socket }) => void (socket.writable && socket.write(drip))), 500)
    bench.after(() => clearInterval(dripping || undefined))
    await serves(served)
    holds(`${open(sockets)} are kept`, open(sockets) <= 100)
    if (bench.form.name === 'long') await allEnd(sockets, 20_000)
    await serves(served)
  },
})

async function allEnd(sockets: readonly RawSocket[], withinMs: number): Promise<void> {
  const timer = setTimeout(() => {}, withinMs)
  const late = new Promise<'late'>((resolve) => setTimeout(() => resolve('late'), withinMs).unref())
  const end = await Promise.race([Promise.all(sockets.map(({ closed }) => closed)), late])
  clearTimeout(timer)
  holds(`${open(sockets)} are open after ${withinMs} ms`, end !== 'late')
}

async function flood(bench: Bench, count: number, headers: string): Promise<void> {
  const served = await serving(bench)
  const answers = await Promise.all(Array.from({ length: count }, () => served.send(GET('/health', headers))))
  for (const answer of answers) holds(`it answers ${answer.slice(0, 60)}`, /^(HTTP\/1\.1 431 |$)/.test(answer))
  await serves(served)
}

async function pipelined(bench: Bench): Promise<void> {
  const served = await serving(bench)
  const answers = await served.send(`GET /metrics HTTP/1.1\r\n${HOST}\r\n`.repeat(5_000))
  holds('it answers them all', answers.split('HTTP/1.1 ').length < 100)
  holds(`it collects ${served.collections()} times`, served.collections() < 10)
  await serves(served)
}

async function storm(bench: Bench): Promise<void> {
  const served = await serving(bench)
  const scrapes = Array.from({ length: 90 }, () => served.status('GET', '/metrics'))
  same('statuses', [...new Set(await Promise.all(scrapes))], [200])
  await serves(served)
}

async function notReading(bench: Bench): Promise<void> {
  const served = await serving(bench, { bytes: 8_000_000 })
  const sockets = await manyOf(served, 8, undefined)
  for (const { socket } of sockets) {
    socket.pause()
    socket.write(`GET /metrics HTTP/1.1\r\n${HOST}\r\n`)
  }
  await Promise.all(sockets.map(({ socket }) => once(socket, 'readable')))
  await serves(served)
  for (const { socket } of sockets) socket.destroy()
}

async function vanishing(bench: Bench): Promise<void> {
  const served = await serving(bench, { bytes: 50_000 })
  for (let n = 0; n < (bench.form.name === 'short' ? 40 : 200); n++) {
    const raw = await served.open()
    raw.socket.write(GET('/metrics'))
    if (n % 2 === 0) raw.socket.resetAndDestroy()
    else raw.socket.destroy()
  }
  await serves(served)
}

async function ending(bench: Bench): Promise<void> {
  const served = await serving(bench)
  const sockets = await manyOf(served, 100, halfRequest)
  const began = performance.now()
  await served.close()
  await allEnd(sockets, 3_000)
  const tookMs = performance.now() - began
  holds(`it took ${Math.round(tookMs)} ms`, tookMs < 3_000)
}

const long = (form: Form, cases: readonly Case[]): readonly Case[] => (form.name === 'long' ? cases : [])

export const http: Fault = {
  name: 'HTTP',
  promise:
    'what no honest client sends is refused or cut off, at most 100 connections are kept and none for good, and all the while others are served',
  places: ['no broker'],
  contenders: ['taskspan', 'careless'],
  cases: (form) => [
    {
      title: 'an address that nobody chose',
      run: async (bench) => same('the address', (await serving(bench)).host, '127.0.0.1'),
    },
    ...malformed,
    ...tricks,
    ...methods,
    ...hosts,
    ...tokens,
    { title: '90 floods of headers', run: (bench) => flood(bench, 90, 'X-A: b\r\n'.repeat(3_000)) },
    { title: '20 headers of 1 MB', run: (bench) => flood(bench, 20, `X-A: ${'b'.repeat(1_000_000)}\r\n`) },
    { title: '5,000 requests ahead of the answers', run: pipelined },
    { title: '90 scrapes at once', run: storm },
    { title: 'clients that vanish, one after the other', patienceMs: 2 * form.patienceMs, run: vanishing },
    holding('sockets that say nothing', undefined),
    ...long(form, [
      { title: '8 clients that do not read 8 MB', patienceMs: 4 * form.patienceMs, run: notReading },
      holding('half requests', halfRequest),
      holding('headers that drip', `GET /health HTTP/1.1\r\n${HOST}`, 'X: y\r\n'),
      holding('bodies that drip', `GET /health HTTP/1.1\r\n${HOST}Content-Length: 9999\r\n\r\n`, ' '),
      holding('idle connections kept alive', `GET /health HTTP/1.1\r\n${HOST}\r\n`),
    ]),
    { title: 'the end, with 100 connected', patienceMs: 2 * form.patienceMs, run: ending },
  ],
}
