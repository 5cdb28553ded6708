// The same paths in a server of the user's own.
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Handler, type HandlerOptions, handler } from 'taskspan/server'
import { telemetry } from 'taskspan/telemetry'
import { recordMetrics } from 'taskspan/testing'
import { describe, expect, it, onTestFinished } from 'vitest'
import { AUTHORIZED, ask, TOKEN } from './client.ts'

async function mount(
  options: Partial<HandlerOptions>,
  around: (handle: Handler) => RequestListener = (handle) => handle,
): Promise<{ address: string; handle: Handler }> {
  const t = options.telemetry ?? telemetry({ registry: recordMetrics().registry, logging: false })
  const handle = handler({ ...options, telemetry: t })
  const server = createServer(around(handle)).listen(0, '127.0.0.1')
  onTestFinished(() => {
    handle.close()
    server.close()
    server.closeAllConnections()
  })
  await new Promise((resolve) => server.once('listening', resolve))
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, handle }
}

describe('handler', () => {
  it('answers in a server of node:http', async () => {
    const mounted = await mount({ checks: { redis: () => {} } })
    expect((await ask(mounted, '/health')).status).toBe(200)
    expect((await ask(mounted, '/ready')).json.checks).toEqual({ redis: 'ok' })
    expect((await ask(mounted, '/metrics')).text).toContain('taskiq_')
    expect((await ask(mounted, '/nothing')).json.error.code).toBe('not_found')
  })

  it("leaves a path that is not its own to the server's next", async () => {
    // As Express mounts it: the prefix is taken off, and next() goes on.
    const mounted = await mount({ debug: { token: TOKEN } }, (handle) => (request, response) => {
      request.url = request.url?.replace(/^\/internal/, '')
      handle(request, response, () => response.end('the application'))
    })
    expect((await ask(mounted, '/internal/health')).json.status).toBe('ok')
    for (const path of ['/internal/clips', '/debug/clips', '/', '/debug']) {
      expect((await ask(mounted, path, { headers: AUTHORIZED })).text, path).toBe('the application')
    }
    expect((await ask(mounted, '/internal/health', { method: 'DELETE' })).status).toBe(405)
  })

  it('always asks for the token below /debug: it cannot know who reaches the server', async () => {
    const mounted = await mount({ debug: { token: TOKEN } })
    expect((await ask(mounted, '/debug/status')).status).toBe(401)
    expect((await ask(mounted, '/debug/status', { headers: AUTHORIZED })).status).toBe(200)
    expect((await ask(await mount({ debug: true }), '/debug/status')).json.error.code).toBe('token_missing')
    expect((await ask(await mount({}), '/debug/status')).json.error.code).toBe('debug_off')
  })

  it('takes a body that a parser has read before it', async () => {
    const parsed = (handle: Handler) => async (request: IncomingMessage, response: ServerResponse) => {
      let text = ''
      for await (const part of request) text += part
      handle(Object.assign(request, { body: JSON.parse(text) }), response)
    }
    const t = telemetry({ registry: recordMetrics().registry })
    const mounted = await mount({ telemetry: t, debug: { token: TOKEN } }, parsed)
    const init = { method: 'POST', headers: AUTHORIZED, body: '{"level":"error","ttl_s":60}' }
    expect((await ask(mounted, '/debug/log-level', init)).json).toMatchObject({ level: 'error' })
    mounted.handle.close()
    expect(t.loggers[0]?.level).toBe('info')
  })

  it('has no address to listen on', () => {
    const t = telemetry({ registry: recordMetrics().registry, logging: false })
    expect(() => handler({ telemetry: t, port: 1 } as never)).toThrow("handler: unknown option 'port'")
  })
})
