// Who may ask what: the address it listens on, the names it goes by, the token, and what it says about that at its start.

import { request } from 'node:http'
import { networkInterfaces } from 'node:os'
import { TaskspanError } from 'taskspan'
import { type Served, type ServeOptions, serve } from 'taskspan/server'
import { telemetry } from 'taskspan/telemetry'
import { recordLogs, recordMetrics } from 'taskspan/testing'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { AUTHORIZED, ask, open, post, TOKEN } from './client.ts'
import { FOREIGN_HOSTS, wrongAuthorizations } from './requests.ts'

beforeEach(() => {
  for (const name of ['TASKSPAN_HOST', 'TASKSPAN_PORT', 'TASKSPAN_DEBUG_TOKEN']) vi.stubEnv(name, undefined)
})
afterEach(() => void vi.unstubAllEnvs())

/** fetch() does not let a Host be chosen. */
function asHost(served: Served, path: string, host: string, more: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: served.port, path, headers: { host, ...more } }
    request(options, (response) => resolve(response.resume().statusCode ?? 0))
      .on('error', reject)
      .end()
  })
}

describe('the address', () => {
  it('is 127.0.0.1:9464 unless told otherwise', async () => {
    const t = telemetry({ registry: recordMetrics().registry, logging: false })
    // Somebody else's worker may run here, too.
    const served = await serve({ telemetry: t }).catch((error: unknown) => error as TaskspanError)
    if (served instanceof TaskspanError) return expect(served.message).toContain('127.0.0.1:9464: the port is taken')
    onTestFinished(() => served.close())
    expect(served).toMatchObject({ address: 'http://127.0.0.1:9464', host: '127.0.0.1', port: 9464 })
  })

  it('cannot be reached from elsewhere by default', async () => {
    const served = await serve({
      telemetry: telemetry({ registry: recordMetrics().registry, logging: false }),
      port: 0,
    })
    onTestFinished(() => served.close())
    const outside = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .find(({ internal, family }) => !internal && family === 'IPv4')
    const elsewhere = outside?.address ?? '127.0.0.2'
    await expect(fetch(`http://${elsewhere}:${served.port}/health`)).rejects.toThrow('fetch failed')
  })

  it('takes variables that are blank for unset, and no free port for them', async () => {
    vi.stubEnv('TASKSPAN_HOST', ' ')
    vi.stubEnv('TASKSPAN_PORT', ' ')
    const t = telemetry({ registry: recordMetrics().registry, logging: false })
    // Somebody else may have the port now.
    const address = await serve({ telemetry: t }).then(
      async (served) => served.close().then(() => served.address),
      (error: Error) => error.message,
    )
    expect(address).toContain('127.0.0.1:9464')
  })

  it('comes from the environment, and from the options before that', async () => {
    vi.stubEnv('TASKSPAN_HOST', '::1')
    vi.stubEnv('TASKSPAN_PORT', '0')
    const t = telemetry({ registry: recordMetrics().registry, logging: false })
    const served = await serve({ telemetry: t })
    onTestFinished(() => served.close())
    expect(served.address).toBe(`http://[::1]:${served.port}`)
    expect((await ask(served, '/health')).status).toBe(200)
    expect((await open({ host: '127.0.0.1', port: 0 })).host).toBe('127.0.0.1')
  })

  it('that is taken is an error that says so', async () => {
    const { port } = await open()
    const second = open({ port })
    await expect(second).rejects.toBeInstanceOf(TaskspanError)
    await expect(second).rejects.toMatchObject({ code: 'NOT_LISTENING', cause: { code: 'EADDRINUSE' } })
    await expect(open({ host: 'no.such.name.invalid' })).rejects.toMatchObject({ code: 'NOT_LISTENING' })
  })

  it('is said in one log line', async () => {
    const logs = recordLogs()
    const served = await open({ telemetry: telemetry({ registry: recordMetrics().registry, logger: logs.logger }) })
    expect(logs.named('server.listening')).toMatchObject([{ level: 'info', address: served.address, debug: false }])
  })

  it('comes with what to set: in a container, and beyond loopback without a token', async () => {
    const hint = async (options: Partial<ServeOptions>) => {
      const logs = recordLogs()
      await open({ ...options, telemetry: telemetry({ registry: recordMetrics().registry, logger: logs.logger }) })
      return logs.named('server.listening')[0]?.hint
    }
    vi.stubEnv('KUBERNETES_SERVICE_HOST', '10.0.0.1')
    expect(await hint({})).toContain('set TASKSPAN_HOST=0.0.0.0')
    expect(await hint({ host: '0.0.0.0' })).toBe(undefined)
    expect(await hint({ host: '0.0.0.0', debug: true })).toContain('set TASKSPAN_DEBUG_TOKEN')
    expect(await hint({ host: '0.0.0.0', debug: { token: TOKEN } })).toBe(undefined)
  })
})

describe('options', () => {
  const t = telemetry({ registry: recordMetrics().registry, logging: false })

  it.each<[object | undefined, string]>([
    [undefined, 'options must be an object, got undefined'],
    [{}, "'telemetry' must be what telemetry() gave"],
    [{ telemetry: {} }, "'telemetry' must be what telemetry() gave"],
    [{ telemetry: t, prot: 1 }, "unknown option 'prot'"],
    [{ telemetry: t, port: 65_536 }, "'port' must be an integer from 0 to 65535"],
    [{ telemetry: t, host: '' }, "'host' must be a string that is not empty"],
    [{ telemetry: t, checks: { redis: true } }, "'checks' must be an object of functions, and 'redis' is none"],
    [{ telemetry: t, checks: [() => true] }, "'checks' must be an object of functions"],
    [{ telemetry: t, sdk: {} }, "'sdk' must have status()"],
    [{ telemetry: t, watch: {} }, "'watch' must have snapshot()"],
    [{ telemetry: t, debug: 'yes' }, "'debug' must be true or an object"],
    [{ telemetry: t, debug: { tokn: 'x' } }, "unknown option 'tokn'"],
    [{ telemetry: t, debug: { sections: { 'a b': () => 1 } } }, "has the name 'a b'"],
    [{ telemetry: t, debug: { sections: { status: () => 1 } } }, "has the name 'status', which is taken"],
    [{ telemetry: t, debug: { sections: { mine: 1 } } }, "must have a function for 'mine'"],
  ])('%o is refused', async (options, words) => {
    await expect(serve(options as never)).rejects.toThrow(words)
  })

  it('never show a token', async () => {
    const wrong = serve({ telemetry: t, debug: { token: 12_345_678 as never } })
    await expect(wrong).rejects.toThrow("'token' must be a string")
    await expect(wrong).rejects.not.toThrow('12345678')
    const misspelt = serve({ telemetry: t, debug: { tokn: '12345678' } as never })
    await expect(misspelt).rejects.toThrow("unknown option 'tokn'")
    await expect(misspelt).rejects.not.toThrow('12345678')
  })

  it('of the environment are checked, too', async () => {
    vi.stubEnv('TASKSPAN_PORT', 'http')
    await expect(serve({ telemetry: t })).rejects.toThrow(
      "TASKSPAN_PORT must be an integer from 0 to 65535, got 'http'",
    )
  })
})

describe('the token', () => {
  it('is not asked for on loopback, but for what changes something', async () => {
    const served = await open({ debug: { token: TOKEN } })
    expect((await ask(served, '/debug/status')).status).toBe(200)
    const { status, json, headers } = await ask(served, '/debug/log-level', { method: 'POST', body: '{}' })
    expect([status, json.error.code]).toEqual([401, 'unauthorized'])
    expect(headers.get('www-authenticate')).toContain('Bearer')
  })

  it('is asked for everything below /debug beyond loopback, and for nothing else', async () => {
    const { port } = await open({ debug: { token: TOKEN }, host: '0.0.0.0' })
    const served = { address: `http://127.0.0.1:${port}` }
    for (const path of ['/metrics', '/health', '/ready']) expect((await ask(served, path)).status).toBe(200)
    for (const authorization of wrongAuthorizations(TOKEN)) {
      const headers = authorization === undefined ? {} : { authorization }
      expect((await ask(served, '/debug/status', { headers })).status, authorization).toBe(401)
      expect((await ask(served, '/debug/nothing', { headers })).status).toBe(401)
    }
    expect((await ask(served, '/debug/status', { headers: AUTHORIZED })).status).toBe(200)
    expect((await ask(served, '/debug/nothing', { headers: AUTHORIZED })).status).toBe(404)
  })

  it('that is not configured opens nothing', async () => {
    const { port } = await open({ debug: true, host: '0.0.0.0' })
    const served = { address: `http://127.0.0.1:${port}` }
    for (const headers of [{}, { authorization: 'Bearer ' }, { authorization: 'Bearer undefined' }]) {
      expect((await ask(served, '/debug/status', { headers })).json.error.code).toBe('token_missing')
    }
    const local = await open({ debug: true })
    expect((await post(local, '/debug/log-level', { level: 'debug' })).json.error.code).toBe('token_missing')
  })

  it('comes from the environment', async () => {
    vi.stubEnv('TASKSPAN_DEBUG_TOKEN', TOKEN)
    const { port } = await open({ debug: true, host: '0.0.0.0' })
    const served = { address: `http://127.0.0.1:${port}` }
    expect((await ask(served, '/debug/status')).status).toBe(401)
    expect((await ask(served, '/debug/status', { headers: AUTHORIZED })).status).toBe(200)
  })
})

describe('a foreign Host', () => {
  it.each(FOREIGN_HOSTS)('%j sees nothing of /debug', async (host) => {
    const served = await open({ debug: { token: TOKEN } })
    expect(await asHost(served, '/debug/status', host, AUTHORIZED)).toBe(403)
    expect(await asHost(served, '/metrics', host)).toBe(200)
  })

  it.each(['localhost', 'LOCALHOST:1', '127.0.0.1:80', '127.1.2.3', '[::1]:9464'])('is not %s', async (host) => {
    const served = await open({ debug: true })
    expect(await asHost(served, '/debug/status', host)).toBe(200)
  })

  it('is not an address or a configured name beyond loopback', async () => {
    const served = await open({ debug: { token: TOKEN, hosts: ['render.internal'] }, host: '0.0.0.0' })
    for (const host of ['10.1.2.3:9464', '[fd00::1]', 'render.internal', 'RENDER.internal:80', 'localhost:9464']) {
      expect(await asHost(served, '/debug/status', host, AUTHORIZED), host).toBe(200)
    }
    expect(await asHost(served, '/debug/status', 'evil.example', AUTHORIZED)).toBe(403)
  })
})
