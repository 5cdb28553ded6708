// The saved queries and those of the runbooks: they parse, they name only what is really written, and the SQL is run.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parser as logql } from '@grafana/lezer-logql'
import { parser as traceql } from '@grafana/lezer-traceql'
import { describe, expect, it } from 'vitest'
import { ATTR, LINE, spanNames } from '../../src/kernel/names.ts'
import { ROOT } from '../support/staged.ts'
import { snippets } from './snippets.ts'
import { written } from './written.ts'

type Parser = typeof logql | typeof traceql

/** What the parser could not read, with what stands around it. */
function complaints(parser: Parser, text: string): string[] {
  const wrong: string[] = []
  parser.parse(text).iterate({
    enter({ type, from, to }) {
      if (type.isError) wrong.push(text.slice(Math.max(0, from - 20), to + 20))
    },
  })
  return wrong
}

const cases = (language: 'logql' | 'traceql') => snippets(language).map(({ title, text }) => [title, text] as const)

it('the parsers tell a query from what is none', () => {
  expect(complaints(traceql, '{ name = "a" && }')).not.toEqual([])
  expect(complaints(logql, '{service="a" | json')).not.toEqual([])
})

describe('TraceQL', () => {
  it.each(cases('traceql'))('%s parses', (_, text) => {
    expect(complaints(traceql, text)).toEqual([])
  })

  it('names only attributes that spans have', async () => {
    const { spans } = await written()
    const names = Object.values(spanNames()).filter((name) => typeof name === 'string')
    const seen = new Set([
      ...spans.flatMap(({ attributes }) => Object.keys(attributes)),
      ...Object.values(ATTR),
      ...names,
    ])
    const used = cases('traceql').flatMap(([title, text]) =>
      [...text.matchAll(/\bspan\.([\w.]+)/g)].map(([, name = '']) => [title, name] as const),
    )
    expect(used.length).toBeGreaterThan(20)
    expect(used.filter(([, name]) => !seen.has(name))).toEqual([])
  })

  it('names only spans that there are', async () => {
    const { spans } = await written()
    const names = [...new Set(spans.map(({ name }) => name))]
    for (const [title, text] of cases('traceql')) {
      for (const [, sign, name = ''] of text.matchAll(/(?<![.\w])name (=~?) "([^"]+)"/g)) {
        const matching = names.filter((each) => (sign === '=' ? each === name : new RegExp(`^(?:${name})$`).test(each)))
        expect(matching, `${title}: ${name}`).not.toEqual([])
      }
    }
  })

  it('compares with outcomes and types that there are', async () => {
    const { spans } = await written()
    const values = (key: string) => new Set(spans.map(({ attributes }) => attributes[key]))
    for (const [title, text] of cases('traceql')) {
      for (const [, key = '', , value = ''] of text.matchAll(/span\.(taskiq\.outcome|task_type) (=~?) "([^"]+)"/g)) {
        for (const word of value.split('|')) expect([...values(key)], title).toContain(word)
      }
    }
  })
})

describe('LogQL', () => {
  it.each(cases('logql'))('%s parses', (_, text) => {
    expect(complaints(logql, text)).toEqual([])
  })

  it('labels are those that Vector gives, and no others', () => {
    for (const [title, text] of cases('logql')) {
      const labels = [...(/\{([^}]*)\}/.exec(text)?.[1] ?? '').matchAll(/(\w+)\s*(?:=~|!=|!~|=)/g)].map(
        ([, name]) => name,
      )
      expect(['service', 'environment', 'level'], title).toEqual(expect.arrayContaining(labels))
    }
  })

  it('names only messages that are written', async () => {
    const { lines } = await written()
    const messages = [...new Set([...lines.map(({ message }) => message), ...Object.values(LINE)])]
    const used = cases('logql').flatMap(([title, text]) =>
      [...text.matchAll(/\bmessage(=~?)"([^"]+)"/g)].flatMap(([, , pattern = '']) =>
        alternatives(pattern).map((each) => [title, each] as const),
      ),
    )
    expect(used.length).toBeGreaterThan(20)
    expect(used.filter(([, each]) => !messages.some((message) => new RegExp(`^${each}$`).test(message)))).toEqual([])
  })

  it('names only fields that lines have', async () => {
    const { lines } = await written()
    const seen = new Set([...lines.flatMap((line) => flattened(line)), ...fieldsOfWatch()])
    const used = cases('logql').flatMap(([title, text]) => fieldsIn(text).map((name) => [title, name] as const))
    expect(used.length).toBeGreaterThan(50)
    expect(used.filter(([, name]) => !seen.has(name))).toEqual([])
  })
})

/** `task.(failed|lost)` and `a|b` as single patterns, so that each has to match something. */
function alternatives(pattern: string): string[] {
  const group = /^(.*)\(([^)]*)\)(.*)$/.exec(pattern)
  if (group === null) return pattern.split('|')
  const [, before = '', inside = '', after = ''] = group
  return inside.split('|').map((word) => before + word + after)
}

/** Keys as `| json` makes them: `error.type` is `error_type`. */
function flattened(value: object, prefix = ''): string[] {
  return Object.entries(value).flatMap(([key, item]) =>
    typeof item === 'object' && item !== null ? flattened(item, `${prefix}${key}_`) : [prefix + key],
  )
}

function fieldsIn(text: string): string[] {
  const shown = [...text.matchAll(/\{\{\.(\w+)\}\}/g)]
  const filtered = [...text.matchAll(/\| (\w+)(?:=~|!=|!~|=)/g), ...text.matchAll(/\bunwrap (\w+)/g)]
  const grouped = [...text.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names = '']) =>
    names.split(/,\s*/).map((n) => ['', n]),
  )
  return [...shown, ...filtered, ...grouped].map(([, name = '']) => name)
}

// What watch() says needs a broker that is full, or a worker that is deaf; its fields are read from where they are made.
function fieldsOfWatch(): string[] {
  const directory = join(ROOT, 'src/watch')
  return readdirSync(directory).flatMap((name) => {
    const text = readFileSync(join(directory, name), 'utf8')
    const made = text.matchAll(/(?:fields|details)(?:: | = )\{([\s\S]*?)\n? *\}/g)
    return [...made].flatMap(([, inside = '']) => [...inside.matchAll(/\b([a-z]\w*)\b/g)].map(([, word = '']) => word))
  })
}
