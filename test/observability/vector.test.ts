// Vector's configuration by structure, and the lines in its own tests against those that are really written. VRL itself
// is run by nobody here: `vector test` does that where Vector is.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pino, stdTimeFunctions } from 'pino'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { ROOT } from '../support/staged.ts'
import { written } from './written.ts'

interface Component {
  readonly type: string
  readonly inputs?: readonly string[]
  readonly [option: string]: unknown
}

interface Vector {
  readonly sources: Readonly<Record<string, Component>>
  readonly transforms: Readonly<Record<string, Component & { readonly source: string }>>
  readonly sinks: Readonly<Record<string, Component & { readonly labels: Readonly<Record<string, string>> }>>
}

interface VectorTest {
  readonly name: string
  readonly inputs: readonly { readonly insert_at: string; readonly log_fields: { readonly message: string } }[]
  readonly outputs: readonly { readonly extract_from: string; readonly conditions: readonly { source: string }[] }[]
}

const read = (name: string): unknown => parse(readFileSync(join(ROOT, 'observability/vector', name), 'utf8'))
const vector = read('vector.yaml') as Vector
const { tests } = read('tests.yaml') as { readonly tests: readonly VectorTest[] }
const { lines, ...otherTransforms } = vector.transforms

describe('the configuration', () => {
  it('every input of every transform and sink exists, and every source goes somewhere', () => {
    const known = [...Object.keys(vector.sources), ...Object.keys(vector.transforms)]
    const taken = [...Object.values(vector.transforms), ...Object.values(vector.sinks)].flatMap(
      ({ inputs = [] }) => inputs,
    )
    expect(taken.filter((name) => !known.includes(name))).toEqual([])
    expect(known.filter((name) => !taken.includes(name))).toEqual([])
    expect(otherTransforms).toEqual({})
  })

  it('gives Loki the labels service, environment and level, and no others', () => {
    const { labels } = vector.sinks.loki as Vector['sinks'][string]
    expect(labels).toEqual({ service: '{{ service }}', environment: '{{ environment }}', level: '{{ level }}' })
    for (const name of Object.keys(labels)) expect(lines?.source).toMatch(new RegExp(`^ *\\.${name} = `, 'm'))
  })

  it('listens on the port that compose publishes', () => {
    expect(vector.sources.http?.address).toBe('0.0.0.0:8383')
  })

  it('leaves no environment variable to be put in, which later Vectors refuse', () => {
    expect(JSON.stringify(vector)).not.toContain('$')
  })

  it('knows every level that pino numbers, and every word that we write', () => {
    const source = lines?.source ?? ''
    const numbers = [...source.matchAll(/number >= (\d+) \{ "(\w+)" \}/g)].map(([, number, word]) => [
      Number(number),
      word,
    ])
    expect(numbers).toEqual([
      [pino.levels.values.fatal, 'critical'],
      [pino.levels.values.error, 'error'],
      [pino.levels.values.warn, 'warning'],
      [pino.levels.values.info, 'info'],
    ])
    expect(source).toContain('includes(["debug", "info", "warning", "error", "critical"], .level)')
  })

  it('closes every bracket and string of its VRL', () => {
    const code = (lines?.source ?? '').replaceAll(/#.*$/gm, '').replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
    for (const [open, close] of ['()', '{}', '[]']) {
      expect(code.split(String(open)).length, open).toBe(code.split(String(close)).length)
    }
    expect(code.split('"').length % 2).toBe(1)
  })
})

describe('the tests for `vector test`', () => {
  it('put lines in, and look at what comes out, of transforms that there are', () => {
    const names = tests.flatMap(({ inputs, outputs }) => [
      ...inputs.map(({ insert_at }) => insert_at),
      ...outputs.map(({ extract_from }) => extract_from),
    ])
    expect(new Set(names)).toEqual(new Set(Object.keys(vector.transforms)))
    for (const { outputs } of tests) expect(outputs[0]?.conditions[0]?.source).toMatch(/^assert_eq!/m)
  })

  const example = (name: string): Record<string, unknown> => {
    const found = tests.find((each) => each.name.startsWith(name))
    return JSON.parse(found?.inputs[0]?.log_fields.message ?? '') as Record<string, unknown>
  }

  it('have a line of ours as it is written', async () => {
    const { lines: all } = await written()
    const failed = all.find(({ message, attempt }) => message === 'task.failed' && attempt === 2)
    const { error, ...shown } = example('a line of taskspan')
    const { error: ours, max_attempts, wait_ms, recovered, ...fields } = failed as Record<string, unknown>
    expect(shapeOf(shown)).toEqual(shapeOf(fields))
    expect(shapeOf(error)).toEqual(shapeOf(ours))
  })

  it("have plain pino's lines as they are written", () => {
    const plain = pinoLine({ name: 'shop-render' }, 'error')
    expect(shapeOf(example('plain pino, with msg'))).toEqual(shapeOf(plain))
    expect(example('plain pino, with msg').level).toBe(plain.level)
    const iso = pinoLine({ base: null, timestamp: stdTimeFunctions.isoTime }, 'info')
    expect(shapeOf(example('plain pino with isoTime'))).toEqual(shapeOf(iso))
  })
})

/** Keys, in any order, and the kinds of their values. */
function shapeOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return typeof value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shapeOf(item)]))
}

function pinoLine(options: object, level: 'info' | 'error'): Record<string, unknown> {
  let line = ''
  const destination = new Writable({
    write(chunk, _encoding, done) {
      line += chunk
      done()
    },
  })
  pino(options, destination)[level]('no disk')
  return JSON.parse(line) as Record<string, unknown>
}
