// docs/http.md is what the server says: every example has the keys and the kinds of values of a real answer.
import { readdirSync, readFileSync } from 'node:fs'
import { log } from 'taskspan/logging'
import { pipeline } from 'taskspan/pipeline'
import { serve } from 'taskspan/server'
import { fakeBroker } from 'taskspan/testing'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { parse } from 'yaml'
import { record } from '../support/record.ts'
import { AUTHORIZED, ask, open, post, TOKEN } from './client.ts'

const docs = readFileSync(new URL('../../docs/http.md', import.meta.url), 'utf8')

/** The first JSON example below a heading that begins with this. */
function example(heading: string): unknown {
  const section = docs.split(/^## /m).find((text) => text.startsWith(heading))
  const json = /```json\n([\s\S]*?)```/.exec(section ?? '')?.[1]
  if (json === undefined) throw new Error(`docs/http.md has no JSON example below '${heading}'`)
  return JSON.parse(json)
}

/** Its keys and kinds of values, lists by their first item; what may be missing is left out of neither. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shape(value[0])]
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shape(item)]))
}

describe('docs/http.md', () => {
  it('shows each answer as it is', async () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'x=y')
    onTestFinished(() => void vi.unstubAllEnvs())
    const { t } = await record({ correlation: ['request_id'] })
    const failing = { redis: () => 'PONG', database: () => Promise.reject(new Error('connect ECONNREFUSED')) }
    const debug = { token: TOKEN, sections: { artifacts: () => [] } }
    const served = await open({ telemetry: t, checks: failing, debug })
    let release: () => void = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    let running: () => void = () => {}
    const started = new Promise<void>((resolve) => {
      running = resolve
    })
    const analysis = pipeline<object>('analysis', t)
      .step('download', () => 'file')
      .step('transcribe', ['download'], async ({ progress }) => {
        progress(3, 10)
        running()
        await held
      })
      .step('cut', ['transcribe'], () => 'clip')
    const broker = fakeBroker(t)
    broker.consume('clips', (message) =>
      message.name === 'analyse_clip' ? analysis.run({}) : Promise.reject(new RangeError('no')),
    )
    broker.deliver('clips', { name: 'render_clip' })
    await broker.settled(1)
    broker.deliver('clips', { name: 'analyse_clip', attempts: 3 })
    await started
    log().warn('task.retrying')

    const all = async (path: string) => shape((await ask(served, path)).json)
    expect(await all('/health')).toEqual(shape(example('GET /health')))
    expect(await all('/ready')).toEqual(shape(example('GET /ready')))
    expect(await all('/debug/status')).toEqual(shape(example('GET /debug/status')))
    expect(await all('/debug/queue')).toEqual(shape(example('GET /debug/queue')))
    expect(await all('/debug/logs?level=warning')).toMatchObject(shape(example('GET /debug/logs')) as object)
    expect(await all('/debug/traces')).toMatchObject(shape(example('GET /debug/traces')) as object)
    expect(await all('/debug/config')).toMatchObject(shape(example('GET /debug/config')) as object)
    const workflow = (await ask(served, '/debug/workflow')).json
    const written = example('GET /debug/workflow') as typeof workflow
    expect(shape(workflow)).toEqual(shape(written))
    expect(workflow.runs[0].steps.map(shape)).toEqual(written.runs[0].steps.map(shape))
    const { limit_bytes, ...memory } = (await ask(served, '/debug/memory')).json
    expect(shape({ limit_bytes: limit_bytes ?? 1, ...memory })).toEqual(shape(example('GET /debug/memory')))
    const level = await post(served, '/debug/log-level', { level: 'debug' })
    expect(shape(level.json)).toEqual(shape(example('POST /debug/log-level')))
    release()
    await broker.settled(2)
  })

  it('has a Kubernetes manifest whose probes, ports, environment and grace fit the server', async () => {
    const yaml = /## Kubernetes\n+```yaml\n([\s\S]*?)```/.exec(docs)?.[1] ?? ''
    const { metadata, spec } = parse(yaml).spec.template
    const [container] = spec.containers
    const [port] = container.ports
    for (const { name, value } of container.env) vi.stubEnv(name, value ?? TOKEN)
    onTestFinished(() => void vi.unstubAllEnvs())
    const { t } = await record()
    // As in the pod: reached under its address, by nobody who has the token.
    const served = await serve({ telemetry: t, port: 0, debug: true })
    onTestFinished(() => served.close())
    expect(served.host).toBe('0.0.0.0')
    const address = `http://127.0.0.1:${served.port}`
    const annotated = metadata.annotations['prometheus.io/path']
    const probes = [container.livenessProbe, container.readinessProbe].map(({ httpGet }) => httpGet)
    expect(probes.map((probe) => probe.port)).toEqual([port.name, port.name])
    for (const path of [annotated, ...probes.map((probe) => probe.path)]) {
      expect((await ask({ address }, path)).status, path).toBe(200)
    }
    expect((await ask({ address }, '/debug/status')).status).toBe(401)
    expect((await ask({ address }, '/debug/status', { headers: AUTHORIZED })).status).toBe(200)
    expect([metadata.annotations['prometheus.io/port'], String(port.containerPort)]).toEqual(['9464', '9464'])
    expect(container.readinessProbe.timeoutSeconds).toBeGreaterThan(2) // a check's time
    const graceMs = Number(/graceMs: ([\d_]+)/.exec(yaml)?.[1]?.replace('_', ''))
    expect(spec.terminationGracePeriodSeconds * 1000).toBeGreaterThan(graceMs + 5_000)
  })

  it('names every error code, and no other', () => {
    const folder = new URL('../../src/server/', import.meta.url)
    const source = readdirSync(folder)
      .map((file) => readFileSync(new URL(file, folder), 'utf8'))
      .join('\n')
    const thrown = [...source.matchAll(/new Refusal\(\s*\d+,\s*'(\w+)'/g), ...source.matchAll(/\[\d{3}, '(\w+)'\]/g)]
    const table = docs.slice(docs.indexOf('## Errors'))
    const documented = [...table.matchAll(/`(\w+)`/g)].map(([, code]) => code)
    const known = new Set(thrown.map(([, code]) => code))
    const words = new Set(documented.filter((code) => code !== 'request_id' && code !== 'trace_id'))
    expect([...words].sort()).toEqual([...known].sort())
  })
})
