// The stack's files: compose by the compose specification's schema, Prometheus and Alertmanager by their own tools, and
// Tempo, Loki, Vector and Grafana's provisioning by schemas of our own and what each must say for the others to find it.
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Ajv } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { DCLinter } from 'dclint'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { amtool, promtool } from '../../scripts/prometheus/index.ts'
import { runObservability } from '../../src/cli/observability.ts'
import { ROOT } from '../support/staged.ts'
import { DATASOURCES, LOKI, PROVIDERS, TEMPO, VECTOR, VECTOR_TESTS } from './schemas.ts'

interface Service {
  readonly image?: string
  readonly build?: { readonly context: string; readonly dockerfile: string }
  readonly command?: readonly string[]
  readonly profiles?: readonly string[]
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>
}

interface Complaint {
  readonly rule: string
  readonly message: string
  readonly line: number
}

interface Compose {
  readonly include?: readonly string[]
  readonly services: Readonly<Record<string, Service>>
  readonly volumes?: Readonly<Record<string, unknown>>
}

const STACK = 'observability/compose.yaml'
const textOf = (file: string): string => readFileSync(join(ROOT, file), 'utf8')
const yamlOf = <T>(file: string): T => parse(textOf(file), { merge: true }) as T
const files = ['compose.yaml', STACK]
const composes = new Map(files.map((file) => [file, yamlOf<Compose>(file)]))
const [demo, stack] = files.map((file) => composes.get(file)) as [Compose, Compose]
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

const run = promisify(execFile)

describe('Prometheus', () => {
  interface Prometheus {
    readonly rule_files: readonly string[]
    readonly scrape_configs: readonly {
      readonly job_name: string
      readonly static_configs: readonly { readonly targets: readonly string[] }[]
    }[]
    readonly storage: { readonly exemplars: object }
    readonly alerting: object
  }
  const config = yamlOf<Prometheus>('observability/prometheus/prometheus.yml')

  it('takes its configuration, with the rules beside it', async () => {
    const { stdout } = await run(await promtool(), [
      'check',
      'config',
      join(ROOT, 'observability/prometheus/prometheus.yml'),
    ])
    expect(stdout).toContain('is valid prometheus config file syntax')
  })

  it('keeps exemplars', () => {
    expect(stack.services.prometheus?.command).toContain('--enable-feature=exemplar-storage')
    expect(config.storage.exemplars).toBeDefined()
  })

  it('scrapes each process of the demo as a job of its own, by the names that compose gives', () => {
    const targets = config.scrape_configs.flatMap(({ static_configs }) =>
      static_configs.flatMap(({ targets: all }) => all),
    )
    const processes = Object.entries(demo.services).filter(([, { build }]) => build !== undefined)
    expect(targets.sort()).toEqual(processes.map(([name]) => `${name}:9464`).sort())
    expect(new Set(config.scrape_configs.map(({ job_name }) => job_name)).size).toBe(processes.length)
    expect(config.alerting).toEqual({ alertmanagers: [{ static_configs: [{ targets: ['alertmanager:9093'] }] }] })
  })
})

describe('Alertmanager', () => {
  const file = 'observability/alertmanager/alertmanager.yml'

  it('takes its configuration', async () => {
    const { stdout } = await run(await amtool(), ['check-config', join(ROOT, file)])
    expect(stdout).toContain('SUCCESS')
  })

  it('takes it with Slack, e-mail, PagerDuty and Discord, when their # are taken away', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'taskspan-alertmanager-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const text = textOf(file).replaceAll(/^# /gm, '')
    const config = parse(text) as { global: object; receivers: readonly object[] }
    const kinds = new Set(config.receivers.flatMap((receiver) => Object.keys(receiver)))
    expect([...kinds].sort()).toEqual([
      'discord_configs',
      'email_configs',
      'name',
      'pagerduty_configs',
      'slack_configs',
    ])
    expect(config.global).toHaveProperty('smtp_smarthost')
    const path = join(directory, 'alertmanager.yml')
    writeFileSync(path, text)
    const { stdout } = await run(await amtool(), ['check-config', path])
    expect(stdout).toContain('3 receivers')
  })

  it('sends what is critical to those on call, and shows the rest to the team', async () => {
    const tool = await amtool()
    const route = async (...labels: string[]) =>
      (await run(tool, ['config', 'routes', 'test', `--config.file=${join(ROOT, file)}`, ...labels])).stdout.trim()
    expect(await route('alertname=WorkerStuck', 'severity=critical')).toBe('on-call')
    expect(await route('alertname=QueueBacklogHigh', 'severity=warning')).toBe('team')
    expect(await route('alertname=PipelineStepFailing', 'severity=info')).toBe('nobody')
  })
})

describe('Grafana', () => {
  interface Source {
    readonly uid: string
    readonly type: string
    readonly url: string
    readonly jsonData: Readonly<Record<string, unknown>>
  }
  const { datasources } = yamlOf<{ datasources: readonly Source[] }>(
    'observability/grafana/provisioning/datasources/datasources.yaml',
  )
  const source = (uid: string): Source => datasources.find((each) => each.uid === uid) as Source

  it('has the three data sources that the dashboards name, at the addresses that compose gives', () => {
    expect(datasources.map(({ uid, type }) => [uid, type])).toEqual([
      ['prometheus', 'prometheus'],
      ['tempo', 'tempo'],
      ['loki', 'loki'],
    ])
    expect(source('prometheus').url).toBe('http://prometheus:9090')
    expect(source('loki').url).toBe('http://loki:3100')
    expect(source('tempo').url).toBe('$TEMPO_URL')
    expect(stack.services.grafana?.environment?.TEMPO_URL).toBe(
      `http://$${'{TEMPO_HOST:-tempo}'}:$${'{TEMPO_PORT:-3200}'}`,
    )
  })

  it('leads from an exemplar to its trace, from a trace to its logs, and back', () => {
    expect(source('prometheus').jsonData.exemplarTraceIdDestinations).toMatchObject([
      { name: 'trace_id', datasourceUid: 'tempo' },
    ])
    expect(source('tempo').jsonData.tracesToLogsV2).toMatchObject({ datasourceUid: 'loki', customQuery: true })
    expect(JSON.stringify(source('tempo').jsonData.tracesToLogsV2)).toContain('$${__trace.traceId}')
    const [field] = source('loki').jsonData.derivedFields as {
      matcherRegex: string
      datasourceUid: string
      url: string
    }[]
    expect(field).toMatchObject({ datasourceUid: 'tempo', url: '$${__value.raw}' })
    const trace = '4db45fffbafb08773229a78af764c4ff'
    expect(new RegExp(field?.matcherRegex ?? '').exec(`{"level":"info","trace_id":"${trace}"}`)?.[1]).toBe(trace)
  })

  it('finds the dashboards where compose puts them', () => {
    const { providers } = yamlOf<{ providers: readonly { options: { path: string } }[] }>(
      'observability/grafana/provisioning/dashboards/dashboards.yaml',
    )
    const mounted = stack.services.grafana?.volumes?.map((volume) => volume.split(':')[1])
    for (const { options } of providers) expect(mounted).toContain(options.path)
  })
})

describe('by schema', () => {
  const ajv = new Ajv2020({ strict: false, allErrors: true })

  it.each([
    ['tempo/tempo.yaml', TEMPO],
    ['loki/loki.yaml', LOKI],
    ['vector/vector.yaml', VECTOR],
    ['vector/tests.yaml', VECTOR_TESTS],
    ['grafana/provisioning/datasources/datasources.yaml', DATASOURCES],
    ['grafana/provisioning/dashboards/dashboards.yaml', PROVIDERS],
  ])('%s says only what its reader knows', (file, schema) => {
    const validate = ajv.compile(schema)
    validate(yamlOf(join('observability', file)))
    expect(validate.errors ?? []).toEqual([])
  })
})

describe('Tempo and Loki', () => {
  it('Tempo listens on the ports that compose publishes, and keeps spans of every kind for its metrics', () => {
    const tempo = textOf('observability/tempo/tempo.yaml')
    for (const variable of ['TEMPO_PORT:-3200', 'TEMPO_GRPC_PORT:-4317', 'TEMPO_HTTP_PORT:-4318']) {
      expect(tempo).toContain(`\${${variable}}`)
      expect(stack.services.tempo?.ports).toContain(`127.0.0.1:\${${variable}}:\${${variable}}`)
    }
    expect(stack.services.tempo?.command).toContain('-config.expand-env=true')
    expect(parse(tempo)).toMatchObject({
      metrics_generator: { processor: { local_blocks: { filter_server_spans: false } } },
      overrides: { defaults: { metrics_generator: { processors: ['local-blocks'] } } },
    })
  })

  it('Loki adds no labels of its own, and keeps what it is given on its volume', () => {
    const loki = yamlOf<object>('observability/loki/loki.yaml')
    expect(loki).toMatchObject({
      limits_config: { discover_service_name: [], discover_log_levels: false },
      common: { path_prefix: '/loki' },
      server: { http_listen_port: 3100 },
    })
    expect(stack.services.loki?.volumes).toContain('loki:/loki')
  })
})

describe('where the command puts it', () => {
  async function written(): Promise<string> {
    const directory = mkdtempSync(join(tmpdir(), 'taskspan-ops-'))
    onTestFinished(() => rmSync(directory, { recursive: true }))
    const out = join(directory, 'ops')
    await runObservability(['--out', out], () => {})
    return out
  }

  it('the folder works by itself', async () => {
    const out = await written()
    const outside = Object.values(stack.services)
      .flatMap(({ volumes = [] }) => volumes.map((volume) => volume.split(':')[0] ?? ''))
      .filter((from) => from.startsWith('.') && !existsSync(join(out, from)))
    expect(outside).toEqual([])
    await run(await promtool(), ['check', 'config', join(out, 'prometheus/prometheus.yml')])
  })

  it('every link of its pages leads to a file, there as here', async () => {
    for (const directory of [await written(), join(ROOT, 'observability')]) {
      const broken = markdown(directory).flatMap((file) => {
        const links = [...readFileSync(file, 'utf8').matchAll(/\]\(([^)\s#]+)[^)\s]*\)/g)].map(([, link = '']) => link)
        const local = links.filter((link) => !/^[a-z]+:/.test(link))
        return local.filter((link) => !existsSync(resolve(dirname(file), link))).map((link) => `${file}: ${link}`)
      })
      expect(broken).toEqual([])
    }
  })
})

function markdown(directory: string): string[] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.md')).map((name) => join(directory, name))
}
