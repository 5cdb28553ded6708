// What is no HTTP, comes slowly, or comes all at once: answered or cut off within the caps, while others are served.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Counter, Registry } from 'prom-client'
import { telemetry } from 'taskspan/telemetry'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { AUTHORIZED, ask, open, Raw, TOKEN } from './client.ts'
import { CLOSE, GET, HOST, MALFORMED, PATH_TRICKS } from './requests.ts'

describe('a malformed request', () => {
  it.each(MALFORMED)('%s', async (_, bytes, status) => {
    const served = await open()
    const answer = await Raw.send(served.port, bytes)
    if (status === undefined) expect(answer).toBe('')
    else expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect((await ask(served, '/health')).status).toBe(200)
  })

  it('is answered in the same envelope as everything else', async () => {
    const served = await open()
    const answer = await Raw.send(served.port, 'nonsense\r\n\r\n')
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toEqual({
      error: {
        ...{ code: 'malformed', message: 'Bad Request', request_id: '', trace_id: null, details: {} },
        help: 'Send one complete HTTP/1.1 request.',
      },
    })
  })

  it('ends its connection also after a good one', async () => {
    const served = await open()
    const raw = await Raw.open(served.port)
    raw.socket.write(`GET /health HTTP/1.1\r\n${HOST}\r\n`)
    await raw.until(/"uptime_s"/)
    raw.socket.write('nonsense\r\n\r\n')
    await raw.closed
    expect(raw.received).toMatch(/HTTP\/1\.1 200[\s\S]*HTTP\/1\.1 400/)
  })
})

describe('path tricks', () => {
  it.each(PATH_TRICKS)('%s finds nothing', async (path) => {
    const served = await open({ debug: true })
    expect(await Raw.send(served.port, GET(path))).toMatch(/^HTTP\/1\.1 40[04] /)
  })

  it('do not lead past the Host: an empty one, and none at all', async () => {
    const served = await open({ debug: true })
    const none = 'GET /debug/status HTTP/1.0\r\n\r\n'
    const empty = `GET /debug/status HTTP/1.1\r\nHost:\r\n${CLOSE}\r\n`
    for (const bytes of [none, empty]) expect(await Raw.send(served.port, bytes)).toMatch(/^HTTP\/1\.1 403 /)
  })

  it('do not lead past the token', async () => {
    const served = await open({ debug: { token: TOKEN }, host: '0.0.0.0' })
    for (const path of ['/debug', '/debug/', '/debug/status', '/debug/status?x', '/debug/nothing', '/debug/traces/a']) {
      expect(await Raw.send(served.port, GET(path)), path).toMatch(/^HTTP\/1\.1 401 /)
    }
  })
})

describe.concurrent('connections that are held', () => {
  it('do not keep others out: of 400 half-open sockets at most 100 are kept, and not for long', async (test) => {
    const { onTestFinished } = test
    const served = await open({}, onTestFinished)
    const half: Raw[] = []
    for (let n = 0; n < 400; n++) {
      const raw = await Raw.open(served.port, onTestFinished)
      // Some say nothing at all, some half a request.
      if (n % 2 === 0) raw.socket.write('GET /health HTTP/1.1\r\nHost: 127')
      half.push(raw)
    }
    const began = performance.now()
    expect((await ask(served, '/health')).status).toBe(200)
    expect((await ask(served, '/ready')).status).toBe(200)
    expect(performance.now() - began).toBeLessThan(4_500) // before the time-out of headers has let any of them go
    await vi.waitFor(
      () => expect(half.filter(({ socket }) => !socket.destroyed).length).toBeLessThanOrEqual(100),
      8_000,
    )
    await Promise.all(half.map(({ closed }) => closed))
    expect(performance.now() - began).toBeLessThan(8_000)
    expect((await ask(served, '/health')).status).toBe(200)
  })

  it('end when their headers do not', async ({ onTestFinished }) => {
    const served = await open({}, onTestFinished)
    const raw = await Raw.open(served.port, onTestFinished)
    raw.socket.write(`GET /health HTTP/1.1\r\n${HOST}`)
    const drip = setInterval(() => raw.socket.write('X: y\r\n'), 250)
    const began = performance.now()
    await raw.closed
    clearInterval(drip)
    expect(performance.now() - began).toBeLessThan(8_000)
    expect(raw.received).toMatch(/^HTTP\/1\.1 408 /)
  })

  it('end when their body does not', async ({ onTestFinished }) => {
    const served = await open({ debug: { token: TOKEN } }, onTestFinished)
    const raw = await Raw.open(served.port, onTestFinished)
    const headers = `${HOST}Authorization: ${AUTHORIZED.authorization}\r\nContent-Length: 1000\r\n`
    raw.socket.write(`POST /debug/log-level HTTP/1.1\r\n${headers}\r\n`)
    const drip = setInterval(() => raw.socket.write(' '), 250)
    const began = performance.now()
    await raw.closed
    clearInterval(drip)
    expect(performance.now() - began).toBeLessThan(13_000)
  })
})

describe('many at once', () => {
  it('answers pipelined requests in their order', async () => {
    const served = await open()
    const keep = (path: string) => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`
    const answer = await Raw.send(
      served.port,
      `${keep('/health')}${keep('/nothing')}${keep('/ready')}${GET('/metrics')}`,
    )
    expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '404', '200', '200'])
  })

  it('cuts off a client that sends thousands ahead of the answers, and collects the metrics a few times only', async () => {
    const registry = new Registry()
    let collected = 0
    new Counter({ name: 'probe', help: 'x', registers: [registry], collect: () => void collected++ })
    const served = await open({ telemetry: telemetry({ registry, logging: false }) })
    const answers = await Raw.send(served.port, `GET /metrics HTTP/1.1\r\n${HOST}\r\n`.repeat(5_000))
    expect(answers.split('HTTP/1.1 ').length).toBeLessThan(20)
    expect(collected).toBeLessThan(5)
    expect((await ask(served, '/health')).status).toBe(200)
  })

  it('shares one collection among those who scrape at once', async () => {
    const registry = new Registry()
    let collected = 0
    new Counter({ name: 'probe', help: 'x', registers: [registry], collect: () => void collected++ })
    const served = await open({ telemetry: telemetry({ registry, logging: false }) })
    const scrape = `GET /metrics HTTP/1.1\r\n${HOST}\r\n`
    const answer = await Raw.send(served.port, `${scrape.repeat(5)}${GET('/metrics')}`)
    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(6)
    expect(collected).toBe(1)
  })
})

describe('a client that does not read', () => {
  it('loses its connection', async () => {
    const registry = new Registry()
    const big = new Counter({ name: 'big', help: 'x', labelNames: ['value'], registers: [registry] })
    for (let n = 0; n < 300; n++) big.inc({ value: `${n}${'x'.repeat(50_000)}` })
    const served = await open({ telemetry: telemetry({ registry, logging: false }) })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const raw = await Raw.open(served.port)
    raw.socket.pause()
    raw.socket.write(`GET /metrics HTTP/1.1\r\n${HOST}\r\n`)
    await once(raw.socket, 'readable')
    vi.advanceTimersByTime(31_000)
    raw.socket.resume()
    await raw.closed
    expect(raw.received.length).toBeLessThan(15_000_000)
  })
})

describe('the end', () => {
  it('comes within a second or two whoever is still connected, and lets the process exit', async () => {
    const code = `
      import { serve } from './src/server/index.ts'
      import { telemetry } from './src/telemetry.ts'
      const served = await serve({ telemetry: telemetry({ logging: false }), port: 0, debug: true,
        checks: { slow: () => new Promise(() => {}) }, checkTimeoutMs: 60_000 })
      console.log(served.port)
      process.stdin.once('data', async () => {
        await Promise.all([served.close(), served.close()])
        process.stdin.destroy()
      })`
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code])
    onTestFinished(() => void child.kill('SIGKILL'))
    const port = Number(String((await once(child.stdout, 'data'))[0]))
    const raws = await Promise.all(Array.from({ length: 20 }, () => Raw.open(port)))
    raws[0]?.socket.write(GET('/ready'))
    raws[1]?.socket.write('GET /hea')
    const began = performance.now()
    child.stdin.write('close\n')
    const [exit] = await once(child, 'exit')
    expect(exit).toBe(0)
    expect(performance.now() - began).toBeLessThan(3_000)
    await Promise.all(raws.map(({ closed }) => closed))
  })
})
