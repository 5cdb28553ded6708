// The probes: alive without asking anybody, ready when the checks say so, and never slow.
import { start } from 'taskspan/sdk'
import { telemetry } from 'taskspan/telemetry'
import { describe, expect, it } from 'vitest'
import { ask, open } from './client.ts'

describe('/health', () => {
  it.each(['/health', '/health/live'])('%s says that the process is alive, whatever its checks say', async (path) => {
    const served = await open({ checks: { redis: () => Promise.reject(new Error('gone')) } })
    const { status, json, headers } = await ask(served, path)
    expect(status).toBe(200)
    expect(json).toEqual({ status: 'ok', uptime_s: expect.any(Number), version: expect.any(String) })
    expect(headers.get('cache-control')).toBe('no-store')
  })
})

describe('/ready', () => {
  it.each(['/ready', '/health/ready'])('%s is 200 when every check is well', async (path) => {
    const served = await open({ checks: { redis: () => 'PONG', database: async () => {} } })
    expect(await ask(served, path)).toMatchObject({
      status: 200,
      json: { status: 'ok', checks: { redis: 'ok', database: 'ok' }, version: expect.any(String) },
    })
  })

  it('is 503 when one is not, with its words and without its credentials', async () => {
    const served = await open({
      checks: {
        redis: () => 'PONG',
        broker: () => Promise.reject(new Error('connect amqp://guest:secret@mq:5672/x\n  refused')),
        database: () => Promise.reject(new Error('no postgres://db/shop?user=ann&password=secret&ssl=1')),
        disk: () => false,
        odd: () => {
          throw undefined
        },
        coded: () => Promise.reject(Object.assign(new Error(''), { code: 'ECONNREFUSED' })),
      },
    })
    const { status, json } = await ask(served, '/ready')
    expect(status).toBe(503)
    expect(json).toEqual({
      status: 'degraded',
      checks: {
        redis: 'ok',
        broker: 'error: connect amqp://***@mq:5672/x refused',
        database: 'error: no postgres://db/shop?user=ann&password=***&ssl=1',
        disk: 'error: the check gave false',
        odd: 'error: undefined',
        coded: 'error: ECONNREFUSED',
      },
      version: expect.any(String),
    })
  })

  it('asks all checks at once, and gives up those that do not answer, which are told', async () => {
    const order: string[] = []
    let other: () => void = () => {}
    const both = new Promise<void>((resolve) => {
      other = resolve
    })
    const served = await open({
      checkTimeoutMs: 100,
      checks: {
        // Well only if the second is asked while the first still waits.
        first: () => both,
        second: () => other(),
        hanging: (signal) => new Promise(() => signal.addEventListener('abort', () => order.push('told'))),
      },
    })
    const { json } = await ask(served, '/ready')
    expect(json.checks).toEqual({ first: 'ok', second: 'ok', hanging: 'error: no answer within 100 ms' })
    expect(order).toEqual(['told'])
  })

  it('asks once for all who ask at once or soon after', async () => {
    let asked = 0
    let answer: (value: string) => void = () => {}
    const served = await open({
      checks: {
        redis: () => {
          asked++
          return new Promise((resolve) => {
            answer = resolve
          })
        },
      },
    })
    const replies = Array.from({ length: 20 }, () => ask(served, '/ready'))
    // Nineteen have come when their last is answered elsewhere.
    await Promise.all(Array.from({ length: 20 }, () => ask(served, '/health')))
    answer('PONG')
    expect((await Promise.all(replies)).map(({ status }) => status)).toEqual(Array(20).fill(200))
    await ask(served, '/ready')
    expect(asked).toBe(1)
  })

  it('is 503 while the process drains, without asking, and when it began to drain while checks ran', async () => {
    let state = 'running'
    let asked = 0
    const served = await open({
      sdk: { status: () => ({ state }) },
      checks: {
        redis: () => {
          asked++
          state = 'draining'
        },
      },
    })
    expect(await ask(served, '/ready')).toMatchObject({ status: 503, json: { status: 'draining' } })
    const drained = await ask(served, '/ready')
    expect([drained.status, drained.json.status, drained.json.checks]).toEqual([503, 'draining', {}])
    state = 'closed'
    expect((await ask(served, '/ready')).status).toBe(503)
    expect(asked).toBe(1)
    expect((await ask(served, '/health')).status).toBe(200)
  })

  it('is 503 from the moment that sdk.close() is called until the end', async () => {
    const sdk = start({ app: 'shop' })
    const served = await open({ sdk })
    expect((await ask(served, '/ready')).status).toBe(200)
    let release: () => void = () => {}
    const busy = { close: () => new Promise<void>((resolve) => (release = resolve)) }
    const closing = sdk.close({ workers: [busy] })
    expect(await ask(served, '/ready')).toMatchObject({ status: 503, json: { status: 'draining' } })
    release()
    await closing
    expect((await ask(served, '/ready')).status).toBe(503)
  })

  it('is 503 when watch() says that this worker should get no work', async () => {
    let complaint: string | undefined = 'stuck on queue render since 12:00'
    const empty = { queues: [], schedules: [], connections: [] }
    const served = await open({ watch: { snapshot: () => empty, ready: () => complaint }, checks: { redis: () => {} } })
    expect(await ask(served, '/ready')).toMatchObject({
      status: 503,
      json: { status: 'degraded', checks: { redis: 'ok', worker: 'error: stuck on queue render since 12:00' } },
    })
    complaint = undefined
    expect(await ask(served, '/ready')).toMatchObject({ status: 200, json: { checks: { redis: 'ok' } } })
  })

  it('is 200 without any check', async () => {
    const served = await open({ telemetry: telemetry({ logging: false, metrics: false }) })
    expect(await ask(served, '/ready')).toMatchObject({ status: 200, json: { status: 'ok', checks: {} } })
  })
})
