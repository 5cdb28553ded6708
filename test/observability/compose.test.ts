// Both compose files: the compose specification's schema, and that everything that they name is there. No Docker runs here.
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { Ajv } from 'ajv'
import { DCLinter } from 'dclint'
import { describe, expect, it } from 'vitest'
import { ROOT } from '../support/staged.ts'
import { composes, demo, files, STACK, stack, textOf, yamlOf } from './stack-files.ts'

interface Complaint {
  readonly rule: string
  readonly message: string
  readonly line: number
}

const services = files.flatMap((file) =>
  Object.entries(composes.get(file)?.services ?? {}).map(([name, service]) => ({ file, name, service })),
)

describe.each(files)('%s', (file) => {
  it("is valid by the compose specification's schema", () => {
    const schema = JSON.parse(textOf('node_modules/dclint/schemas/compose.schema.json')) as {
      $schema?: string
      $id?: string
    }
    const { $schema, $id, ...rest } = schema
    const validate = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(rest)
    validate(composes.get(file))
    expect(validate.errors ?? []).toEqual([])
  })

  it('satisfies dclint: quoted ports on one address, each once, and images with their versions', () => {
    const rules = Object.fromEntries(RULES_OF_STYLE.map((name) => [name, 0]))
    const linter = new DCLinter({ rules, quiet: false, debug: false, exclude: [] })
    const [result] = linter.lintFiles([join(ROOT, file)], false) as { messages: Complaint[] }[]
    expect(result?.messages.map(({ rule, message, line }) => `${line}: ${rule}: ${message}`) ?? []).toEqual([])
  })
})

// An order that tells nothing, and names that compose makes by itself.
const RULES_OF_STYLE = [
  'service-keys-order',
  'services-alphabetical-order',
  'top-level-properties-order',
  'service-dependencies-alphabetical-order',
  'service-ports-alphabetical-order',
  'require-project-name-field',
  'require-quotes-in-ports',
  'no-build-and-image',
]

describe('the stack and the demo', () => {
  it('come up together by one command from the root, and the stack by itself', () => {
    expect(demo.include).toEqual([STACK])
    expect(Object.keys(stack.services).sort()).toEqual([
      'alertmanager',
      'grafana',
      'loki',
      'prometheus',
      'tempo',
      'vector',
    ])
    for (const { profiles } of Object.values(stack.services)) expect(profiles).toEqual(['observability'])
    expect(demo.services.redis?.profiles).toBeUndefined()
    expect(Object.keys(demo.services).filter((name) => name in stack.services)).toEqual([])
  })

  it.each(services)('$name depends on services that there are', ({ file, service }) => {
    const { depends_on: needs = [] } = service
    const known = Object.keys(file === STACK ? stack.services : { ...demo.services, ...stack.services })
    expect((Array.isArray(needs) ? needs : Object.keys(needs)).filter((name) => !known.includes(name))).toEqual([])
  })

  it.each(services.filter(({ service }) => service.build === undefined))(
    '$name has an exact version',
    ({ service }) => {
      expect(service.image).toMatch(/:v?\d+\.\d+\.\d+(-[a-z]+)*$/)
    },
  )

  it('the image of the demo begins from an exact version, and copies what is there', () => {
    const { dockerfile = '' } = demo.services.api?.build ?? {}
    const text = textOf(dockerfile)
    expect(text).toMatch(/^FROM node:\d+\.\d+\.\d+-[\w-]+$/m)
    const copied = [...text.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, paths = '']) => paths.split(' '))
    expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
    expect(text).toContain('USER node')
  })

  it.each(services)('$name publishes its ports on loopback only', ({ service }) => {
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\$\{\w+:-\d+\}:/)
  })

  it.each(services)('$name mounts what is there', ({ file, service }) => {
    const named = Object.keys(composes.get(file)?.volumes ?? {})
    for (const volume of service.volumes ?? []) {
      const [from = ''] = volume.split(':')
      if (from.startsWith('/var/run/')) continue
      if (from.startsWith('.')) expect(existsSync(resolve(ROOT, dirname(file), from)), from).toBe(true)
      else expect(named).toContain(from)
    }
  })

  it('each process of the demo runs a file that is there, and Vector reads it', () => {
    const processes = Object.values(demo.services).filter(({ build }) => build !== undefined)
    expect(processes).toHaveLength(4)
    for (const { command = [], labels } of processes) {
      expect(existsSync(join(ROOT, command[3] ?? ''))).toBe(true)
      expect(labels).toEqual({ 'taskspan.logs': 'true' })
    }
    expect(yamlOf<{ sources: { docker: object } }>('observability/vector/vector.yaml').sources.docker).toMatchObject({
      include_labels: ['taskspan.logs=true'],
    })
  })
})

describe('the variables', () => {
  const used = files.flatMap((file) => [
    ...textOf(file)
      .replaceAll(/#.*$/gm, '')
      .matchAll(/\$\{(\w+)(:-[^}]*)?\}/g),
  ])

  it('each has a default, the same wherever it stands', () => {
    const defaults = new Map<string, Set<string | undefined>>()
    for (const [, name = '', otherwise] of used) defaults.set(name, (defaults.get(name) ?? new Set()).add(otherwise))
    expect([...defaults].filter(([, values]) => values.size !== 1 || values.has(undefined))).toEqual([])
  })

  it('are those that users were promised, and each is in the README', () => {
    const named = Object.fromEntries(used.map(([, name, otherwise = '']) => [name, otherwise.slice(2)]))
    expect(named).toMatchObject({
      ...{
        GRAFANA_PORT: '3000',
        GRAFANA_USER: 'admin',
        GRAFANA_PASSWORD: 'admin',
        LOKI_PORT: '3100',
        VECTOR_PORT: '8383',
      },
      ...{ TEMPO_HOST: 'tempo', TEMPO_PORT: '3200', TEMPO_GRPC_PORT: '4317', PROMETHEUS_PORT: '9090' },
    })
    const readme = textOf('observability/README.md')
    for (const [name, value] of Object.entries(named)) expect(readme).toContain(`| \`${name}\` | \`${value}\` |`)
  })
})
